package pack

import (
	"math/rand/v2"
	"time"

	"sluice/pipeline"
)

// random is safe for concurrent use, as rand's own functions are.
type random struct{}

func (random) Uint64() uint64 { return rand.Uint64() }

// NewID mints the id of a pack that is put together now.
func NewID() pipeline.ID { return pipeline.NewID(time.Now(), random{}) }
