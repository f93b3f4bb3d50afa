package porttest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"sluice/pipeline"
	"sluice/pipeline/pack"
)

// StoreUnderTest is an object store with what the suite needs besides the port.
type StoreUnderTest struct {
	Store pipeline.ObjectStore
	// Open reads a section of an object. It is nil for a store that keeps nothing.
	Open func(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)
	// Stall stalls the backend of the store until resume is called. It is nil without a
	// backend.
	Stall func() (resume func())
	// Close closes the store. It is nil for a store that needs no closing.
	Close func() error
	// Packs is true if small messages may share objects.
	Packs bool
}

// ObjectStore is the conformance suite of pipeline.ObjectStore. open opens a new store
// and registers its cleanup with t.
func ObjectStore(t *testing.T, open func(t *testing.T) StoreUnderTest) {
	t.Run("sizes", func(t *testing.T) { storeSizes(t, open(t)) })
	t.Run("empty header", func(t *testing.T) { storeWithoutHeader(t, open(t)) })
	t.Run("concurrent", func(t *testing.T) { storeConcurrent(t, open(t)) })
	t.Run("never blocks", func(t *testing.T) { storeStalled(t, open(t)) })
	t.Run("packs", func(t *testing.T) { storePacks(t, open(t)) })
	t.Run("removes", func(t *testing.T) { storeRemoves(t, open(t)) })
	t.Run("panics", func(t *testing.T) { storePanics(t, open(t)) })
	t.Run("closed", func(t *testing.T) { storeClosed(t, open(t)) })
}

// sizes returns body sizes at the boundaries of slabs, where a copy goes wrong first. With
// packing those that are no part of a pack go the same way as without.
func sizes(packs bool) []int {
	list := []int{0, 1, 2}
	for _, edge := range []int{4 << 10, 20 << 10, 84 << 10, 148 << 10} {
		list = append(list, edge-1, edge, edge+1)
	}
	if packs {
		return append(list, 5<<20)
	}
	return append(list, 5<<20-1, 5<<20, 5<<20+1, 30<<20)
}

// randomBytes returns n bytes that do not compress, the same for each n.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	source := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)})
	_, _ = source.Read(b) // never fails
	return b
}

func storeSizes(t *testing.T, s StoreUnderTest) {
	for _, size := range sizes(s.Packs) {
		m := NewMessage(randomBytes(size))
		key := m.Key()
		sent, err := Store(s.Store, m)
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		checkStored(t, s, sent, key)
	}
}

// storeWithoutHeader stores a message without trace fields.
func storeWithoutHeader(t *testing.T, s StoreUnderTest) {
	m := NewMessage([]byte("Subject: x\r\n\r\nbody\r\n"))
	m.Header = nil
	key := m.Key()
	sent, err := Store(s.Store, m)
	if err != nil {
		t.Fatal(err)
	}
	checkStored(t, s, sent, key)
}

// checkStored compares the result and the stored object with what was sent.
func checkStored(t *testing.T, s StoreUnderTest, sent *Sent, key string) {
	t.Helper()
	if sent.Err != nil {
		t.Errorf("%d bytes: %v", len(sent.Body), sent.Err)
		return
	}
	whole := append(append([]byte{}, sent.Header...), sent.Body...)
	if got, want := sent.Blob.Length, int64(len(whole)); got != want {
		t.Errorf("%d bytes: blob length %d, want %d", len(sent.Body), got, want)
	}
	if got, want := sent.Blob.Added, int64(len(sent.Header)); got != want {
		t.Errorf("%d bytes: blob added %d, want %d", len(sent.Body), got, want)
	}
	if sent.Blob.Store == "" {
		t.Error("blob without the store's name")
	}
	if s.Open == nil {
		return
	}
	if sent.Blob.Container != "" {
		if sent.Blob.Container != pipeline.ContainerTar || !pack.IsPack(sent.Blob.Key) {
			t.Errorf("container %q, key %q", sent.Blob.Container, sent.Blob.Key)
		}
	} else if sent.Blob.Key != key {
		t.Errorf("key %q, want %q", sent.Blob.Key, key)
	}
	if got, want := sent.Blob.CRC32C, crc32.Checksum(whole, crc32.MakeTable(crc32.Castagnoli)); got != want {
		t.Errorf("%d bytes: CRC32C %08x, want %08x", len(sent.Body), got, want)
	}
	if got, want := sent.Digest, sha256.Sum256(sent.Body); got != want {
		t.Errorf("%d bytes: digest %x, want %x", len(sent.Body), got, want)
	}
	got, err := read(s, sent.Blob)
	if err != nil {
		t.Errorf("%d bytes: %v", len(sent.Body), err)
		return
	}
	if !bytes.Equal(got, whole) {
		t.Errorf("%d bytes: the object differs from what was sent", len(sent.Body))
	}
}

func read(s StoreUnderTest, b pipeline.Blob) ([]byte, error) {
	r, err := s.Open(context.Background(), b.Key, b.Offset, b.Length)
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return got, r.Close()
}

const (
	senders   = 8
	perSender = 40
)

// storeConcurrent stores messages from 8 goroutines.
func storeConcurrent(t *testing.T, s StoreUnderTest) {
	type stored struct {
		sent *Sent
		key  string
	}
	results := make(chan stored, senders*perSender)
	var group sync.WaitGroup
	for i := range senders {
		group.Go(func() {
			for j := range perSender {
				m := NewMessage(randomBytes(i*1000 + j*303))
				key := m.Key()
				sent, err := Store(s.Store, m)
				if err != nil {
					t.Errorf("%s: %v", key, err)
					return
				}
				results <- stored{sent, key}
			}
		})
	}
	group.Wait()
	close(results)
	keys := map[string]bool{}
	for r := range results {
		checkStored(t, s, r.sent, r.key)
		if r.sent.answeredTwice() {
			t.Errorf("%s: more than one result", r.key)
		}
		keys[r.key] = true
	}
	if len(keys) != senders*perSender {
		t.Errorf("%d messages stored, want %d", len(keys), senders*perSender)
	}
}

// flood is more messages than an adapter under test may hold.
const flood = 3000

// callTimeout is far longer than a call takes that does not block.
const callTimeout = 20 * time.Second

// submitAll calls submit for each message and fails the test if a call blocks.
func submitAll(t *testing.T, all []*Sent, submit func(*pipeline.Message)) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, s := range all {
			submit(s.M)
		}
	}()
	select {
	case <-done:
	case <-time.After(callTimeout):
		t.Fatal("the call blocks while the backend is stalled")
	}
}

// awaitAll waits for every result and returns the number of successes.
func awaitAll(t *testing.T, all []*Sent) (good int) {
	t.Helper()
	for _, s := range all {
		if err := s.wait(); err != nil {
			t.Fatal(err)
		}
		if s.Err == nil {
			good++
		} else if kind := pipeline.KindOf(s.Err); kind != pipeline.KindTemporary && kind != pipeline.KindTimeout {
			t.Fatalf("overload gave kind %s: %v", kind, s.Err)
		}
	}
	for _, s := range all {
		if s.answeredTwice() {
			t.Fatal("more than one result")
		}
	}
	return good
}

func storeStalled(t *testing.T, s StoreUnderTest) {
	if s.Stall == nil {
		t.Skip("this store has no backend")
	}
	resume := sync.OnceFunc(s.Stall())
	defer resume() // a failed test must not hang in its cleanup
	all := make([]*Sent, flood)
	for i := range all {
		all[i] = newSent(NewMessage(fmt.Appendf(nil, "Subject: %d\r\n\r\n", i)))
	}
	submitAll(t, all, s.Store.Put)
	resume()
	if good := awaitAll(t, all); good == 0 || good == flood {
		t.Errorf("%d of %d stored; some, not all, were expected", good, flood)
	}
	m := NewMessage([]byte("after"))
	key := m.Key()
	sent, err := Store(s.Store, m)
	if err != nil {
		t.Fatal(err)
	}
	checkStored(t, s, sent, key)
}

// storeClosed closes a store under load. Every message must still have one result.
func storeClosed(t *testing.T, s StoreUnderTest) {
	if s.Close == nil {
		t.Skip("this store needs no closing")
	}
	all := make([]*Sent, 400)
	for i := range all {
		all[i] = newSent(NewMessage(randomBytes(i)))
	}
	closed := make(chan error, 1)
	for i, sent := range all {
		if i == len(all)/2 {
			go func() { closed <- s.Close() }()
		}
		s.Store.Put(sent.M)
	}
	awaitAll(t, all)
	if err := <-closed; err != nil {
		t.Errorf("close: %v", err)
	}
	sent, err := Store(s.Store, NewMessage(nil))
	if err != nil {
		t.Fatal(err)
	}
	if sent.Err == nil {
		t.Error("a closed store stored a message")
	}
}

// storePanics puts messages of which no event can be made between others: these succeed,
// and each of those has one result.
func storePanics(t *testing.T, s StoreUnderTest) {
	all := make([]*Sent, 30)
	for i := range all {
		m := NewMessage(randomBytes(i))
		if i%10 == 5 {
			provokePanic(m)
		}
		all[i] = newSent(m)
		s.Store.Put(m)
	}
	for i, sent := range all {
		if err := sent.wait(); err != nil || sent.Err != nil && i%10 != 5 {
			t.Errorf("message %d: %v %v", i, err, sent.Err)
		}
	}
}

// storeRemoves removes objects. That must not block, and remove nothing else.
func storeRemoves(t *testing.T, s StoreUnderTest) {
	store, ok := s.Store.(pipeline.RemovingStore)
	if !ok {
		t.Skip("this store does not remove objects")
	}
	stays := NewMessage([]byte("stays"))
	key := stays.Key()
	kept, err := Store(s.Store, stays)
	if err != nil {
		t.Fatal(err)
	}
	gone, err := Store(s.Store, NewMessage(randomBytes(3000)))
	if err != nil || gone.Err != nil || gone.Blob.Container != "" {
		t.Fatalf("%v %v %+v", err, gone.Err, gone.Blob)
	}
	store.Remove(gone.Blob.Key)
	store.Remove(NewMessage(nil).Key()) // a missing object is no failure
	for end := time.Now().Add(resultTimeout); ; time.Sleep(10 * time.Millisecond) {
		_, err := read(s, gone.Blob)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("still there: %v", err)
		}
	}
	checkStored(t, s, kept, key)
	if s.Stall != nil {
		resume := sync.OnceFunc(s.Stall())
		defer resume()
	}
	all := make([]*Sent, 200)
	for i := range all {
		all[i] = newSent(NewMessage(nil))
	}
	submitAll(t, all, func(m *pipeline.Message) { store.Remove(m.Key()) })
}
