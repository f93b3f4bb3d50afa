package pipeline

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"testing"
	"time"
)

// TestOriginIsOfTheEvent compares the origin with the same fields of the event.
func TestOriginIsOfTheEvent(t *testing.T) {
	m := &Message{}
	m.Reset()
	m.Gateway = "mx1.example.net"
	m.Client = Client{Address: netip.MustParseAddrPort("[2001:db8::7]:2525"), Helo: "h\"él\\o", Protocol: "ESMTP"}
	m.Envelope.SetReversePath([]byte("a@example.org"))
	m.Envelope.AddRecipient([]byte("b@example.net"))
	m.Envelope.AddRecipient([]byte("c@example.net"))
	m.ReceivedAt = time.Unix(0, 0)
	var event, origin map[string]any
	if err := json.Unmarshal(AppendEvent(nil, m), &event); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(AppendOrigin(nil, m), &origin); err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"gateway", "client", "envelope"} {
		if origin[field] == nil || !reflect.DeepEqual(origin[field], event[field]) {
			t.Errorf("%s: %v, event has %v", field, origin[field], event[field])
		}
		delete(origin, field)
	}
	if len(origin) > 0 {
		t.Errorf("more than the event's fields: %v", origin)
	}
}
