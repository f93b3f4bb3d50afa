package s3

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sluice/internal/testkit"
	"sluice/pipeline/porttest"
)

// first directs the first request of a kind.
func first(directed string, c course) func(string, int) course {
	return func(kind string, n int) course {
		if kind == directed && n == 1 {
			return c
		}
		return course{}
	}
}

// TestLateAttemptOfAcknowledged lets the first attempt at a PUT take effect before its
// message was stored by the second, and after: the object must be there in the end, and
// nothing may have been removed.
func TestLateAttemptOfAcknowledged(t *testing.T) {
	for _, early := range []bool{true, false} {
		t.Run(fmt.Sprint("early ", early), func(t *testing.T) {
			t.Parallel()
			shelf, effect := newShelf(t), make(chan struct{})
			shelf.direct = first("put", course{effect: effect, silent: true})
			if early {
				close(effect)
			}
			o := shelf.options()
			o.cleanAgain = []time.Duration{0}
			s := mustOpen(t, o)
			sent := mustStore(t, s, "acknowledged")
			if !early {
				close(effect)
				testkit.Eventually(t, "the first attempt has taken effect", func() bool { return shelf.unanswered() == 1 })
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if got, _ := shelf.object(sent.Blob.Key); got != string(sent.Header)+string(sent.Body) {
				t.Errorf("the object is %q", got)
			}
			if n := shelf.cleaned(); n != 0 {
				t.Errorf("%d times something was removed", n)
			}
		})
	}
}

// TestLateAttemptOfFailed lets an attempt that was given up take effect after its message
// failed and its object was removed, once or several times: nothing may stay.
func TestLateAttemptOfFailed(t *testing.T) {
	for _, kind := range []string{"put", "pack", "begin", "complete"} {
		for after := range len(cleanAgain) + 1 {
			t.Run(fmt.Sprintf("%s after %d", kind, after), func(t *testing.T) {
				t.Parallel()
				shelf, effect, landed := newShelf(t), make(chan struct{}), make(chan struct{})
				late := first(kind, course{effect: effect, broken: true})
				shelf.direct = func(kind string, n int) course {
					if (kind == "delete" || kind == "abort" || kind == "get") && shelf.cleaned() >= after {
						return course{effect: landed}
					}
					return late(kind, n)
				}
				o := shelf.options()
				o.failures = 1
				for range cleanAgain {
					o.cleanAgain = append(o.cleanAgain, time.Millisecond)
				}
				if kind == "pack" {
					o.Pack = pairs()
				}
				s := mustOpen(t, o)
				for _, err := range storeBy(t, s, kind) {
					if err == nil {
						t.Error("stored without an answer")
					}
				}
				testkit.Eventually(t, "it was removed before", func() bool { return shelf.cleaned() >= after })
				close(effect)
				testkit.Eventually(t, "it has come", func() bool { return shelf.unanswered() == 1 })
				close(landed)
				testkit.Eventually(t, "it was removed as often as is usual", func() bool {
					return shelf.cleaned() >= 1+len(cleanAgain)
				})
				testkit.Eventually(t, "nothing stays", func() bool {
					objects, uploads := shelf.count()
					return objects == 0 && uploads == 0
				})
			})
		}
	}
}

// TestLateBeginOfAcknowledged lets the first attempt to begin an upload take effect after
// the second one's upload was completed and strays were looked for: no upload may stay.
func TestLateBeginOfAcknowledged(t *testing.T) {
	t.Parallel()
	shelf, effect, landed := newShelf(t), make(chan struct{}), make(chan struct{})
	late := first("begin", course{effect: effect, silent: true})
	shelf.direct = func(kind string, n int) course {
		if kind == "get" && shelf.cleaned() > 0 {
			return course{effect: landed}
		}
		return late(kind, n)
	}
	o := shelf.options()
	o.cleanAgain = []time.Duration{0}
	s := mustOpen(t, o)
	if err := storeBy(t, s, "begin")[0]; err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "strays were looked for", func() bool { return shelf.cleaned() > 0 })
	close(effect)
	testkit.Eventually(t, "the late upload has come", func() bool { return shelf.unanswered() == 1 })
	close(landed)
	testkit.Eventually(t, "the upload that came late is gone", func() bool {
		objects, uploads := shelf.count()
		return shelf.cleaned() > 1 && objects == 1 && uploads == 0
	})
}

// TestSilentComplete checks a completion whose first attempt has no answer, and took
// effect at once, later or never: the message is stored once, and its object stays.
func TestSilentComplete(t *testing.T) {
	for _, done := range []string{"at once", "later", "never"} {
		t.Run(done, func(t *testing.T) {
			t.Parallel()
			shelf, effect := newShelf(t), make(chan struct{})
			shelf.direct = first("complete", course{effect: effect, silent: true})
			if done == "at once" {
				close(effect)
			}
			s := mustOpen(t, shelf.options())
			l := porttest.NewLarge(s, make([]byte, MinPartSize))
			l.PutPart([]byte("the last part"))
			if failure, err := l.Wait(); failure != nil || err != nil {
				t.Fatal(failure, err)
			}
			if err := l.Put(); err != nil || l.Err != nil {
				t.Fatal(err, l.Err)
			}
			if done == "later" {
				close(effect)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			got, _ := shelf.object(l.Key)
			if !strings.HasSuffix(got, "the last part") || int64(len(got)) != l.Blob.Length {
				t.Errorf("the object has %d bytes, want %d", len(got), l.Blob.Length)
			}
		})
	}
}
