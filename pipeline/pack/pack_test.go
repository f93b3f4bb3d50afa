package pack_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"sluice/pipeline"
	"sluice/pipeline/pack"
	"sluice/pipeline/porttest"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type random struct{}

func (random) Uint64() uint64 { return rand.Uint64() }

// nowhere is the loop of messages whose results are not read.
type nowhere struct{}

func (nowhere) Post(*pipeline.Task) {}

func message(size int) *pipeline.Message {
	m := porttest.NewMessage(bytes.Repeat([]byte("x"), size))
	m.Loop = nowhere{}
	return m
}

// TestCompose reads the tar with the library and by the blobs. It composes the same pack
// twice: nothing of the first may show in the second.
func TestCompose(t *testing.T) {
	p := pack.New()
	for _, sizes := range [][]int{{0, 1, 511, 512, 513, 70_000, 300_000}, {5, 7}} {
		var all []*pipeline.Message
		for _, size := range sizes {
			all = append(all, message(size))
			p.Add(all[len(all)-1])
		}
		id := pipeline.NewID(time.Date(2026, 1, 2, 15, 59, 0, 0, time.UTC), random{})
		p.Compose(id, pipeline.Blob{Store: "s", Bucket: "b"})
		whole := bytes.Join(p.Pieces(), nil)
		if p.Key() != "2026/01/02/15/"+id.String()+".tar" || !pack.IsPack(p.Key()) {
			t.Errorf("key %s", p.Key())
		}
		if p.Size() != int64(len(whole)) || len(whole)%512 != 0 || p.CRC32C() != crc32.Checksum(whole, castagnoli) {
			t.Errorf("size %d of %d bytes, CRC32C %08x", p.Size(), len(whole), p.CRC32C())
		}
		p.Stored()
		if p.Len() != 0 || p.Bytes() != 0 || len(p.Pieces()) != 0 {
			t.Errorf("%d messages stay", p.Len())
		}
		entries, events := tar.NewReader(bytes.NewReader(whole)), ""
		for i, m := range all {
			checkEntry(t, entries, m, whole)
			if want := (pipeline.Blob{
				Store: "s", Bucket: "b", Key: p.Key(), Container: "tar", Offset: m.Result.Blob.Offset,
				Length: m.Length(), Added: int64(len(m.Header)), CRC32C: m.Result.Blob.CRC32C,
			}); m.Result.Blob != want || m.Result.Err != nil {
				t.Errorf("message %d: %+v, %v, want %+v", i, m.Result.Blob, m.Result.Err, want)
			}
			events += string(pipeline.AppendEvent(nil, m)) + "\n"
		}
		h, err := entries.Next()
		list, _ := io.ReadAll(entries)
		if err != nil || h.Name != pack.EventsName || string(list) != events {
			t.Errorf("%v, %+v: %s, want %s", err, h, list, events)
		}
		if _, err := entries.Next(); err != io.EOF {
			t.Errorf("after the events: %v", err)
		}
	}
}

func checkEntry(t *testing.T, entries *tar.Reader, m *pipeline.Message, whole []byte) {
	t.Helper()
	h, err := entries.Next()
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(entries)
	if err != nil || h.Name != m.ID.String()+".eml" || !h.ModTime.Equal(m.ReceivedAt.Truncate(time.Second)) || h.Mode != 0o640 {
		t.Errorf("%v %+v", err, h)
	}
	want := append([]byte{}, m.Header...)
	for _, chunk := range m.Body.Chunks() {
		want = append(want, chunk...)
	}
	at := whole[m.Result.Blob.Offset : m.Result.Blob.Offset+m.Result.Blob.Length]
	if !bytes.Equal(content, want) || !bytes.Equal(at, want) || crc32.Checksum(want, castagnoli) != m.Result.Blob.CRC32C {
		t.Errorf("%s: %d bytes in the entry, %d at its place, want %d", h.Name, len(content), len(at), len(want))
	}
}

func TestHasRoom(t *testing.T) {
	l := pack.Limits{Messages: 3, Bytes: 100, Message: 40}
	for _, test := range []struct {
		messages int
		size     int64
		room     bool
	}{{0, 0, true}, {1, 60, true}, {1, 61, false}, {2, 10, true}, {3, 10, false}} {
		if got := l.HasRoom(test.messages, test.size); got != test.room {
			t.Errorf("with %d messages of %d bytes: %v", test.messages, test.size, got)
		}
	}
	if !l.Fits(40) || l.Fits(41) {
		t.Error("40 must fit, 41 must not")
	}
}

// TestFindNothing checks packs that are broken, or lack the message.
func TestFindNothing(t *testing.T) {
	p := pack.New()
	p.Add(message(10))
	p.Add(message(10))
	p.Compose(pipeline.NewID(time.Now(), random{}), pipeline.Blob{})
	whole := string(bytes.Join(p.Pieces(), nil))
	never := func(io.Reader) error { t.Error("found"); return nil }
	if err := pack.Find(strings.NewReader(whole), "x", never); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	for _, broken := range []string{whole[:700], strings.Repeat("garbage ", 200)} {
		if err := pack.Find(strings.NewReader(broken), "x", never); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v", err)
		}
	}
}

// FuzzEach checks that entries have plain names and true sizes, whatever a tar says.
func FuzzEach(f *testing.F) {
	var seed bytes.Buffer
	w := tar.NewWriter(&seed)
	for _, size := range []int{10, 600} {
		h := &tar.Header{Format: tar.FormatUSTAR, Typeflag: tar.TypeReg, Name: "x.eml", Size: int64(size), Mode: 0o640}
		if err := w.WriteHeader(h); err != nil {
			f.Fatal(err)
		}
		if _, err := w.Write(make([]byte, size)); err != nil {
			f.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(seed.Bytes())
	f.Fuzz(func(t *testing.T, tarball []byte) {
		_ = pack.Each(bytes.NewReader(tarball), func(name string, size int64, r io.Reader) error {
			if name == "" || name == "." || strings.ContainsAny(name, `/\`) || !fs.ValidPath(name) {
				t.Errorf("name %q", name)
			}
			n, err := io.Copy(io.Discard, r)
			if err == nil && n != size || n > int64(len(tarball))*2 {
				t.Errorf("%s: %d bytes of %d", name, n, size)
			}
			return err
		})
	})
}

func BenchmarkCompose(b *testing.B) {
	p := pack.New()
	all := make([]*pipeline.Message, 100)
	for i := range all {
		all[i] = message(10 << 10)
	}
	id := pipeline.NewID(time.Now(), random{})
	b.SetBytes(int64(len(all)) * 10 << 10)
	b.ReportAllocs()
	for b.Loop() {
		for _, m := range all {
			p.Add(m)
		}
		p.Compose(id, pipeline.Blob{Store: "s3", Bucket: "mail"})
		p.Clear()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(all)), "ns/message")
}
