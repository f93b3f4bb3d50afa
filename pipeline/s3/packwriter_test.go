package s3

import (
	"bytes"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/pipeline"
	"sluice/pipeline/pack"
	"sluice/pipeline/porttest"
)

// packed stores a message that keeps the one lane busy until all others wait, so that
// these make one pack. answer is the answer of f to everything else.
func packed(t *testing.T, f *fake, o Options, answer func(w http.ResponseWriter, r request) bool) (*Store, []*porttest.Sent) {
	t.Helper()
	const others = 9
	busy, release := make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	f.answer = func(w http.ResponseWriter, r request) bool {
		if r.what == "put" && !first.Swap(true) {
			close(busy)
			<-release
			return false
		}
		return answer(w, r)
	}
	o.Pack = &pack.Options{Lanes: 1}
	s := mustOpen(t, o)
	all := make([]*porttest.Sent, others)
	var group sync.WaitGroup
	group.Go(func() {
		if sent, err := porttest.Store(s, porttest.NewMessage([]byte("first"))); err != nil || sent.Err != nil {
			t.Errorf("%v %v", err, sent.Err)
		}
	})
	<-busy
	size := int64(0)
	for i := range all {
		m := porttest.NewMessage(bytes.Repeat([]byte("0123456\r\n"), i*1000))
		size += m.Length()
		group.Go(func() {
			var err error
			if all[i], err = porttest.Store(s, m); err != nil {
				t.Error(err)
			}
		})
	}
	for s.Batcher().WaitingBytes() < size {
		time.Sleep(time.Millisecond) // until all of them wait
	}
	close(release)
	group.Wait()
	return s, all
}

func never(http.ResponseWriter, request) bool { return false }

// TestPackRequest checks that a pack is one plain request with the checksum of the whole.
func TestPackRequest(t *testing.T) {
	f := newFake(t)
	o := f.options()
	o.SSE = "AES256"
	_, all := packed(t, f, o, never)
	packs := f.requests("pack")
	if len(packs) != 1 || len(f.requests("put")) != 1 {
		t.Fatalf("%d packs and %d messages alone", len(packs), len(f.requests("put")))
	}
	checkPlain(t, packs[0], packs[0].body)
	for name, want := range map[string]string{"Content-Type": "application/x-tar", "X-Amz-Server-Side-Encryption": "AES256"} {
		if got := packs[0].header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for _, sent := range all {
		b := sent.Blob
		if sent.Err != nil || packs[0].body[b.Offset:b.Offset+b.Length] != string(sent.Header)+string(sent.Body) {
			t.Errorf("%v, %+v", sent.Err, b)
		}
	}
}

// TestPackRetried checks that a pack is retried whole after a transient failure.
func TestPackRetried(t *testing.T) {
	f := newFake(t)
	var failed atomic.Bool
	_, all := packed(t, f, f.options(), func(w http.ResponseWriter, r request) bool {
		if r.what != "pack" || failed.Swap(true) {
			return false
		}
		refuse(w, http.StatusServiceUnavailable, "SlowDown")
		return true
	})
	packs := f.requests("pack")
	if len(packs) != 2 || packs[0].body != packs[1].body {
		t.Fatalf("%d requests, the same bytes: %v", len(packs), len(packs) == 2 && packs[0].body == packs[1].body)
	}
	for _, sent := range all {
		if sent.Err != nil || sent.Blob.Container != pipeline.ContainerTar {
			t.Errorf("%v %+v", sent.Err, sent.Blob)
		}
	}
}

// TestPackSplit checks that the messages of a refused pack are stored one by one, and
// that a message that is refused again fails alone.
func TestPackSplit(t *testing.T) {
	f := newFake(t)
	var bad atomic.Int32
	_, all := packed(t, f, f.options(), func(w http.ResponseWriter, r request) bool {
		if r.what == "pack" || len(r.body) > 60_000 { // like a proxy with a limit
			if r.what == "put" {
				bad.Add(1)
			}
			refuse(w, http.StatusRequestEntityTooLarge, "EntityTooLarge")
			return true
		}
		return false
	})
	if n := len(f.requests("pack")); n != 1 {
		t.Errorf("the pack was tried %d times", n)
	}
	failed := 0
	for _, sent := range all {
		switch {
		case sent.Err == nil && sent.Blob.Container != "":
			t.Errorf("stored in a pack that was refused: %+v", sent.Blob)
		case sent.Err == nil:
		case pipeline.KindOf(sent.Err) != pipeline.KindTemporary || len(sent.Header)+len(sent.Body) <= 60_000:
			t.Errorf("%d bytes: %v", len(sent.Body), sent.Err)
		default:
			failed++
		}
	}
	if failed != int(bad.Load()) || failed == 0 || failed == len(all) {
		t.Errorf("%d of %d failed, %d were too large", failed, len(all), bad.Load())
	}
}

// TestPackNotSplit checks that a busy, a silent or a full store does not get a request for
// each message instead.
func TestPackNotSplit(t *testing.T) {
	for name, test := range map[string]struct {
		answer func(w http.ResponseWriter, r request) bool
		kind   pipeline.Kind
		least  int // requests of the pack
		most   int
	}{
		"busy": {func(w http.ResponseWriter, r request) bool {
			if r.what != "pack" {
				return false
			}
			refuse(w, http.StatusServiceUnavailable, "SlowDown")
			return true
		}, pipeline.KindTemporary, 3, 3},
		"silent": {func(_ http.ResponseWriter, r request) bool {
			if r.what == "pack" {
				time.Sleep(2 * faultTimeout) // far beyond the deadline
			}
			return r.what == "pack"
		}, pipeline.KindTimeout, 1, 2},
		"full": {func(w http.ResponseWriter, r request) bool {
			if r.what == "pack" {
				refuse(w, http.StatusInsufficientStorage, "XMinioStorageFull")
			}
			return r.what == "pack"
		}, pipeline.KindFull, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			o := f.options()
			o.Timeout = faultTimeout
			begun := time.Now()
			s, all := packed(t, f, o, test.answer)
			if took := time.Since(begun); took > faultTimeout+slack {
				t.Errorf("results after %s", took)
			}
			for _, sent := range all {
				if pipeline.KindOf(sent.Err) != test.kind {
					t.Errorf("%v, want kind %s", sent.Err, test.kind)
				}
			}
			if n := len(f.requests("pack")); n < test.least || n > test.most || len(f.requests("put")) != 1 {
				t.Errorf("%d requests of the pack, %d of messages", n, len(f.requests("put")))
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if s.Depth() != 0 || s.Batcher().WaitingBytes() != 0 {
				t.Errorf("depth %d, %d bytes wait", s.Depth(), s.Batcher().WaitingBytes())
			}
		})
	}
}

// holdParts makes the server hold every part until release is closed. It sends to parts
// for each.
func holdParts(f *fake) (parts <-chan struct{}, release chan<- struct{}) {
	told, released := make(chan struct{}, 10), make(chan struct{})
	f.answer = func(_ http.ResponseWriter, r request) bool {
		if strings.HasPrefix(r.what, "part ") {
			told <- struct{}{}
			<-released
		}
		return false
	}
	return told, released
}

// TestSmallPassStalledLarge checks that small messages are stored while every worker is
// stalled with a part of a large one.
func TestSmallPassStalledLarge(t *testing.T) {
	f := newFake(t)
	parts, release := holdParts(f)
	o := f.options()
	o.Concurrency, o.Pack = 2, &pack.Options{}
	s := mustOpen(t, o)
	large := porttest.NewLarge(s, bytes.Repeat([]byte("first"), MinPartSize/5))
	for range 2 * o.Concurrency {
		large.PutPart(make([]byte, MinPartSize))
	}
	for range o.Concurrency {
		<-parts
	}
	for range 20 {
		mustStore(t, s, "small")
	}
	close(release)
	if failure, err := large.Wait(); failure != nil || err != nil {
		t.Error(failure, err)
	}
	if err := large.Put(); err != nil || large.M.Result.Err != nil {
		t.Error(err, large.M.Result.Err)
	}
}

// TestPackRequestsAreObserved checks that the limiter observes each request of the lanes,
// for one message or for a pack.
func TestPackRequestsAreObserved(t *testing.T) {
	f := newFake(t)
	s, all := packed(t, f, f.options(), never)
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	limiter := s.gate.limiter
	if limiter.baseline.count != 2 || limiter.baseline.value <= 0 {
		t.Errorf("%d requests are known, of %v s", limiter.baseline.count, limiter.baseline.value)
	}
	if most := float64(1 + len(all)); limiter.smallRate <= 1 || limiter.smallRate > most {
		t.Errorf("%v small messages, there were %v", limiter.smallRate, most)
	}
}
