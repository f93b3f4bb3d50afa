package porttest_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"sluice/pipeline"
	"sluice/pipeline/porttest"
)

// plainVerifier is the simplest verifier: it looks for forged fields and passes all else.
type plainVerifier struct{ host string }

func (v plainVerifier) Begin(*pipeline.Message) any { return make(chan *pipeline.Piece, 1000) }

func (v plainVerifier) Drop(state any) { close(state.(chan *pipeline.Piece)) }

func (v plainVerifier) Overdue() pipeline.Verdict {
	return pipeline.Verdict{
		Field:    []byte("Authentication-Results: " + v.host + ";\r\n\tspf=temperror\r\n"),
		Verdicts: &pipeline.Verdicts{},
	}
}

func (v plainVerifier) Read(p *pipeline.Piece) {
	pieces := p.State.(chan *pipeline.Piece)
	if pieces <- p; p.Kind != pipeline.PieceHeader {
		return
	}
	go func() {
		for p := range pieces {
			kind := p.Kind
			switch kind {
			case pipeline.PieceHeader:
				text := strings.ToLower(string(bytes.Join(p.Chunks, nil)))
				for from := 0; ; {
					n := strings.Index(text[from:], "authentication-results")
					if n < 0 {
						break
					}
					p.Forged = append(p.Forged, from+n)
					from += n + 1
				}
			case pipeline.PieceEnd:
				p.Verdict = v.Overdue()
			}
			if p.Done(); kind == pipeline.PieceEnd {
				return
			}
		}
	}()
}

func TestVerifier(t *testing.T) {
	porttest.Verifier(t, func(*testing.T) porttest.VerifierUnderTest {
		return porttest.VerifierUnderTest{
			Verifier: plainVerifier{"mx.example.net"}, Host: "mx.example.net", Deadline: time.Minute,
			Silence: func() func() { return func() {} },
		}
	})
}
