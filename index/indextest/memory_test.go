package indextest

import (
	"testing"

	"sluice/index"
)

// TestMemory runs the suite on the model of the suite.
func TestMemory(t *testing.T) {
	Run(t, Subject{Open: func(*testing.T) index.Store { return &Memory{} }})
}
