package s3

import (
	"context"
	"io"
	"strings"
	"testing"

	"sluice/pipeline"
)

// TestTryRevokesAfterPanic checks that a panic in a request, such as one of its transport,
// is an error of the request, and that nothing reads the message's bytes afterwards.
func TestTryRevokesAfterPanic(t *testing.T) {
	s := &Store{Reader: Reader{client: &client{}}}
	var lent *payload
	_, _, err := s.try(t.Context(), exchange{
		chunks: [][]byte{[]byte("text")},
		send: func(_ context.Context, body *payload) (string, error) {
			lent = body
			panic("broken")
		},
	})
	if pipeline.KindOf(err) != pipeline.KindTemporary || !strings.Contains(err.Error(), "broken") {
		t.Errorf("%v", err)
	}
	if _, err := io.ReadAll(lent); err == nil {
		t.Error("the bytes are still lent")
	}
}

// TestPayloadPanics checks that a panic while net/http reads a body, on a goroutine of its
// own, fails the request.
func TestPayloadPanics(t *testing.T) {
	p := newPayload(nil, [][]byte{[]byte("text")})
	p.piece, p.at = 1, 5 // no path leads here
	if _, err := io.ReadAll(p); err == nil || !strings.Contains(err.Error(), "panic") {
		t.Errorf("%v", err)
	}
	if p.Revoke() {
		t.Error("all was read")
	}
}
