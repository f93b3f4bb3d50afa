package pipeline

import _ "embed"

// EventSchema is the JSON Schema (2020-12) of an event's value, for consumers.
//
//go:embed event.schema.json
var EventSchema []byte
