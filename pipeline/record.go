package pipeline

import "time"

// Record is a record of the event log as a consumer reads it.
type Record struct {
	Topic     string
	Partition int32
	Offset    int64
	Key       []byte
	Value     []byte
	Headers   []EventHeader
	Timestamp time.Time
}
