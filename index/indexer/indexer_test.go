package indexer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/index"
	"sluice/index/indexer"
	"sluice/pipeline"
)

// inBubble runs a test with a clock of its own.
func inBubble(t *testing.T, partitions int, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newWorld(t, partitions)) })
}

func texts(n int) (all [][]byte) {
	for i := range n {
		all = append(all, text(i))
	}
	return all
}

func TestOneRequestForAPack(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, w *world) {
		mails := w.pack(30, texts(20)...)
		lone := w.lone(text(7))
		w.publish(slices.Concat(mails[10:], []mail{lone}, mails[:10])...)
		defer w.start()()
		w.awaitEnd(time.Second)
		w.checkRows(append(mails, lone)...)
		w.checkLetters()
		first, last := mails[0].blob, mails[19].blob
		want := []string{
			fmt.Sprintf("%s %d+%d", first.Key, first.Offset, last.Offset+last.Length-first.Offset),
			fmt.Sprintf("%s 0+%d", lone.blob.Key, lone.blob.Length),
		}
		if slices.Sort(w.gets); !slices.Equal(w.gets, slices.Sorted(slices.Values(want))) {
			t.Errorf("requests %v, want %v", w.gets, want)
		}
		if w.results[indexer.Indexed] != 21 || len(w.found) != 21 {
			t.Errorf("results %v, %d times until found", w.results, len(w.found))
		}
		if m := w.rows[lone.id]; m == nil || m.MailFrom != "" || !slices.Contains(m.Terms, "t:to@example.org") {
			t.Errorf("row %+v", m)
		}
	})
}

// TestHolesAreNotRead has a pack of which most is not wanted.
func TestHolesAreNotRead(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, w *world) {
		mails := w.pack(10_000, texts(10)...)
		w.publish(mails...)
		defer w.start()()
		w.awaitEnd(time.Second)
		w.checkRows(mails...)
		if len(w.gets) != 10 {
			t.Errorf("%d requests", len(w.gets))
		}
	})
}

// TestLargeRuns has a pack that is larger than one request may be.
func TestLargeRuns(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, w *world) {
		big := bytes.Repeat([]byte("0123456789abcde\n"), 6<<16)
		mails := w.pack(512, big, big, big, big, big)
		w.publish(mails...)
		defer w.start()()
		w.awaitEnd(time.Second)
		w.checkRows(mails...)
		if len(w.gets) != 3 {
			t.Errorf("%d requests", len(w.gets))
		}
	})
}

// TestPoison has all that is poison beside good messages, which need not wait for it.
func TestPoison(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, w *world) {
		var good []mail
		next := func() {
			good = append(good, w.pack(512, texts(5)...)...)
			w.publish(good[len(good)-5:]...)
		}
		next()
		w.publishRecord([]byte("key"), []byte("{}"))
		w.publishRecord(nil, nil)
		w.publishRecord([]byte("another"), w.lone(text(1)).event)
		future := w.describe(w.newID(time.Now().Add(25*time.Hour)), pipeline.Blob{Key: "2000/1.eml"}, text(1))
		w.publish(future)
		for _, key := range []string{"", "a", "/a/b", "../a/b", "a//b", "a/\x00", strings.Repeat("a/", 600) + "a", "a/" + strings.Repeat("b", 256)} {
			w.publish(w.describe(w.newID(time.Now()), pipeline.Blob{Key: key}, text(1)))
		}
		next()
		gone := w.lone(text(2))
		w.remove(gone)
		short := w.pack(512, texts(10)...)
		w.objects[short[0].blob.Key] = w.objects[short[0].blob.Key][:short[7].blob.Offset+30]
		good = append(good, short[:7]...)
		lying := w.pack(512, texts(3)...)
		w.objects[lying[1].blob.Key][lying[1].blob.Offset+25] ^= 1
		good = append(good, lying[0], lying[2])
		refused := w.pack(512, texts(9)...)
		w.publish(slices.Concat([]mail{gone}, short, lying, refused)...)
		next()
		w.insert = func(rows []*index.Message) error {
			for _, r := range rows {
				switch r.ID {
				case refused[3].id, refused[4].id:
					return fmt.Errorf("%w: not this one", index.ErrRefused)
				case refused[8].id:
					panic("a row that breaks the database's client")
				}
			}
			return nil
		}
		good = append(append(good, refused[:3]...), refused[5:8]...)
		defer w.start()()
		time.Sleep(time.Second)
		w.checkRows(good...)
		w.awaitEnd(30 * time.Second)
		w.checkRows(good...)
		want := []string{
			indexer.PoisonFuture, indexer.PoisonMissing, indexer.PoisonDigest,
			indexer.PoisonShort, indexer.PoisonShort, indexer.PoisonShort,
			indexer.PoisonRefused, indexer.PoisonRefused, indexer.PoisonRefused,
		}
		for range 3 + 8 {
			want = append(want, indexer.PoisonEvent)
		}
		w.checkLetters(want...)
		w.checkOutages("store", 0)
		w.checkOutages("database", 0)
		if w.results[indexer.PoisonDigest] != 1 || !strings.Contains(w.log.String(), "result=poison_digest") {
			t.Errorf("results %v\n%s", w.results, w.log.String())
		}
		if n := strings.Count(w.log.String(), "result=poison_event"); n != 10 {
			t.Errorf("%d lines about events that are none", n)
		}
	})
}

// TestPanicIsOfOneMessage has a field that does not exist left out, which breaks every
// message, each for itself.
func TestPanicIsOfOneMessage(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, w *world) {
		w.publish(w.pack(512, texts(3)...)...)
		defer w.start(func(o *indexer.Options) { o.Exclude = []string{"none"} })()
		w.awaitEnd(time.Second)
		w.checkLetters(indexer.PoisonParse, indexer.PoisonParse, indexer.PoisonParse)
	})
}

// TestManyMissing has more missing objects than a batch, which are waited for together.
func TestManyMissing(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, w *world) {
		want := []string{}
		for range 1000 {
			m := w.lone(text(1))
			w.remove(m)
			w.publish(m)
			want = append(want, indexer.PoisonMissing)
		}
		good := w.lone(text(1))
		w.publish(good)
		defer w.start()()
		w.awaitEnd(2 * time.Minute)
		w.checkRows(good)
		w.checkLetters(want...)
	})
}

// TestTransientFaults has a store that errs twice about each message.
func TestTransientFaults(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, w *world) {
		opened := map[string]int{}
		w.open = func(_ context.Context, key string, body io.Reader) (io.ReadCloser, error) {
			n := 0
			w.note(func() { n = opened[key]; opened[key]++ })
			whole, _ := io.ReadAll(body)
			switch n {
			case 0:
				whole[len(whole)/2] ^= 1
			case 1:
				whole = whole[:len(whole)/2]
			case 2:
				return nil, errors.New("refused")
			case 3:
				return serve(nil)
			}
			return serve(bytes.NewReader(whole))
		}
		var mails []mail
		for i := range 10 {
			mails = append(mails, w.lone(text(i)))
		}
		w.publish(mails...)
		defer w.start()()
		w.awaitEnd(2 * time.Minute)
		w.checkRows(mails...)
		w.checkLetters()
	})
}

// TestOutages lets each dependency be away for an hour, in its ways.
func TestOutages(t *testing.T) {
	for name, test := range map[string]struct {
		dependency string
		fail       func(w *world, down func() bool)
	}{
		"store refuses": {"store", func(w *world, down func() bool) {
			w.open = func(_ context.Context, _ string, body io.Reader) (io.ReadCloser, error) {
				if down() {
					return nil, errors.New("connection refused")
				}
				return serve(body)
			}
		}},
		"store is silent": {"store", func(w *world, down func() bool) {
			w.open = func(ctx context.Context, _ string, body io.Reader) (io.ReadCloser, error) {
				if down() {
					<-ctx.Done()
					return nil, ctx.Err()
				}
				return serve(body)
			}
		}},
		"store breaks off": {"store", func(w *world, down func() bool) {
			w.open = func(_ context.Context, _ string, body io.Reader) (io.ReadCloser, error) {
				if down() {
					body = io.MultiReader(io.LimitReader(body, 20), broken{})
				}
				return serve(body)
			}
		}},
		"store was emptied": {"store", func(w *world, down func() bool) {
			w.open = func(_ context.Context, _ string, body io.Reader) (io.ReadCloser, error) {
				if down() {
					body = nil
				}
				return serve(body)
			}
		}},
		"a page in the store's place": {"store", func(w *world, down func() bool) {
			w.open = func(_ context.Context, _ string, body io.Reader) (io.ReadCloser, error) {
				if down() {
					body = io.LimitReader(zeros{}, 1<<20)
				}
				return serve(body)
			}
		}},
		"store answers with nothing": {"store", func(w *world, down func() bool) {
			w.open = func(_ context.Context, _ string, body io.Reader) (io.ReadCloser, error) {
				if down() {
					body = strings.NewReader("")
				}
				return serve(body)
			}
		}},
		"database": {"database", func(w *world, down func() bool) {
			w.insert = func([]*index.Message) error {
				if down() {
					return errors.New("connection refused")
				}
				return nil
			}
		}},
		"database is slow": {"database", func(w *world, down func() bool) {
			w.insert = func(rows []*index.Message) error {
				if down() && len(rows) > 1 {
					time.Sleep(time.Minute)
					return context.DeadlineExceeded
				}
				return nil
			}
		}},
		"broker": {"broker", func(w *world, down func() bool) {
			w.poll = func() error {
				if down() {
					return errors.New("connection refused")
				}
				return nil
			}
		}},
		"broker takes no commit": {"broker", func(w *world, down func() bool) {
			w.commit = func() error {
				if down() {
					return errors.New("connection refused")
				}
				return nil
			}
		}},
		"dead letters": {"dead_letters", func(w *world, down func() bool) {
			w.put = func(context.Context) error {
				if down() {
					return errors.New("connection refused")
				}
				return nil
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 2, func(t *testing.T, w *world) {
				began := time.Now()
				test.fail(w, func() bool { return time.Since(began) < time.Hour })
				mails := w.pack(512, texts(250)...)
				w.publish(mails...)
				w.publishRecord(nil, []byte("poison"))
				defer w.start()()
				if name == "database is slow" {
					w.awaitEnd(time.Hour + time.Minute)
				} else {
					time.Sleep(time.Hour - time.Second)
					if w.atEnd() {
						t.Error("committed in spite of the outage")
					}
					w.awaitEnd(time.Minute)
				}
				w.checkRows(mails...)
				w.checkLetters(indexer.PoisonEvent)
				if name != "database is slow" {
					w.checkOutages(test.dependency, 1)
				}
				if n := len(w.gets); n > 5000 {
					t.Errorf("%d requests to the store", n)
				}
			})
		})
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// TestEmptiedStore has lost all messages. It is waited for until a new one is there.
func TestEmptiedStore(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, w *world) {
		lost := w.pack(512, texts(300)...)
		w.remove(lost...)
		w.publish(lost...)
		defer w.start()()
		time.Sleep(time.Hour)
		w.checkLetters()
		w.checkRows()
		fresh := w.lone(text(1))
		w.publish(fresh)
		w.awaitEnd(time.Minute)
		w.checkRows(fresh)
		if len(w.letters) != len(lost) {
			t.Errorf("%d dead letters", len(w.letters))
		}
		w.checkOutages("store", 1)
	})
}

// TestOneUnreadableObject has a store that fails for one object alone. What comes after it
// does not wait, and in the end it is poison.
func TestOneUnreadableObject(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, w *world) {
		bad := w.lone(text(1))
		w.open = func(_ context.Context, key string, body io.Reader) (io.ReadCloser, error) {
			if key == bad.blob.Key {
				return nil, errors.New("input/output error")
			}
			return serve(body)
		}
		w.publish(bad)
		var good []mail
		defer w.start()()
		for range 20 {
			good = append(good, w.lone(text(1)))
			w.publish(good[len(good)-1])
			time.Sleep(6 * time.Second)
			w.checkRows(good...)
		}
		w.checkLetters()
		w.awaitEnd(15 * time.Minute)
		w.checkLetters(indexer.PoisonUnreadable)
	})
}

// TestSlowStore reads a large message for longer than any answer may take.
func TestSlowStore(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, w *world) {
		m := w.lone(bytes.Repeat([]byte("0123456789abcde\n"), 1<<16))
		w.open = func(_ context.Context, _ string, body io.Reader) (io.ReadCloser, error) {
			return serve(slow{body})
		}
		w.publish(m)
		defer w.start()()
		w.awaitEnd(time.Hour)
		w.checkRows(m)
		w.checkOutages("store", 0)
	})
}

type slow struct{ io.Reader }

func (s slow) Read(b []byte) (int, error) {
	time.Sleep(10 * time.Second)
	return s.Reader.Read(b[:min(len(b), 32<<10)])
}

// TestNoWaitForAFullBatch has many slow requests: what is read is found meanwhile.
func TestNoWaitForAFullBatch(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, w *world) {
		w.open = func(_ context.Context, _ string, body io.Reader) (io.ReadCloser, error) {
			time.Sleep(300 * time.Millisecond)
			return serve(body)
		}
		for i := range 90 {
			w.publish(w.lone(text(i)))
		}
		defer w.start()()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := len(w.rows); n < 9 {
			t.Errorf("%d rows after two seconds", n)
		}
		w.awaitEnd(time.Minute)
	})
}

// TestCrashBeforeCommit ends an indexer whose rows are in the database.
func TestCrashBeforeCommit(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, w *world) {
		mails := w.pack(512, texts(50)...)
		w.publish(mails...)
		w.publishRecord(nil, []byte("poison"))
		w.commit = func() error { return errors.New("no") }
		stop := w.start()
		time.Sleep(time.Minute)
		stop()
		w.checkRows(mails...)
		w.commit = nil
		defer w.start()()
		w.awaitEnd(time.Second)
		w.checkRows(mails...)
		w.checkLetters(indexer.PoisonEvent, indexer.PoisonEvent)
		if w.results[indexer.Indexed] != 50 || w.results[indexer.Duplicate] != 50 {
			t.Errorf("results %v", w.results)
		}
	})
}

// TestSameID has an event twice in a batch, and one that claims the id of another.
func TestSameID(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, w *world) {
		m := w.lone(text(3))
		liar := w.describe(m.id, pipeline.Blob{Key: m.blob.Key}, text(4))
		w.publish(liar, m, m, liar)
		defer w.start()()
		w.awaitEnd(time.Minute)
		w.checkRows(m)
		w.checkLetters(indexer.PoisonShort, indexer.PoisonShort)
		if w.results[indexer.Indexed] != 1 || w.results[indexer.Duplicate] != 1 {
			t.Errorf("results %v", w.results)
		}
	})
}

func TestRetention(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, w *world) {
		old := w.lone(text(1))
		time.Sleep(49 * time.Hour)
		fresh := w.lone(text(1))
		w.publish(old, fresh)
		defer w.start(func(o *indexer.Options) { o.Retention = 48 * time.Hour })()
		w.awaitEnd(time.Second)
		w.checkRows(fresh)
		if w.results[indexer.Expired] != 1 {
			t.Errorf("results %v", w.results)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if n := len(w.deleted); n < 100 || n > 130 || time.Since(w.deleted[0]) < 50*time.Hour {
			t.Errorf("%d attempts, the first before %v", n, w.deleted[0])
		}
		if n := strings.Count(w.log.String(), "could not be deleted"); n != 1 {
			t.Errorf("%d lines", n)
		}
	})
}

// TestEnds ends an indexer while each dependency keeps it waiting.
func TestEnds(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, w *world) {
		m := w.lone(text(1))
		w.publish(m)
		w.open = func(ctx context.Context, _ string, _ io.Reader) (io.ReadCloser, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		stop := w.start()
		time.Sleep(time.Second)
		stop()
		w.open = nil
		w.insert = func([]*index.Message) error { return errors.New("no") }
		stop = w.start()
		time.Sleep(10 * time.Second)
		stop()
		w.checkRows()
		w.checkLetters()
	})
}

// TestCommitsRefused has a broker that takes no commits and is polled meanwhile. That is
// one outage.
func TestCommitsRefused(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, w *world) {
		began := time.Now()
		w.commit = func() error {
			if time.Since(began) < time.Hour {
				return errors.New("not allowed")
			}
			return nil
		}
		m := w.lone(text(1))
		w.publish(m)
		defer w.start()()
		w.awaitEnd(2 * time.Hour)
		w.checkRows(m)
		time.Sleep(10 * time.Second)
		w.checkOutages("broker", 1)
	})
}
