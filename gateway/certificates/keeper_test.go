package certificates

import (
	"bytes"
	"context"
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// watched is a Keeper and what it reports.
type watched struct {
	*Keeper
	results []string
	log     bytes.Buffer
}

func newWatched(t *testing.T, s Settings) *watched {
	t.Helper()
	w := &watched{}
	w.Keeper = NewKeeper(load(t, s), Options{
		Reloaded: func(result string) { w.results = append(w.results, result) },
		Logger:   slog.New(slog.NewTextHandler(&w.log, nil)),
	})
	return w
}

// lookTwice looks as Run does: once, and again if it is asked to.
func (w *watched) lookTwice() {
	if w.look(time.Now()) {
		w.look(time.Now())
	}
}

// expect compares the certificate in use, and the results and lines since the last time.
func (w *watched) expect(t *testing.T, what string, cert *x509.Certificate, results, line string) {
	t.Helper()
	if used := w.current.Load().all[0].Leaf; !used.Equal(cert) {
		t.Errorf("%s: the certificate in use is for %v", what, used.DNSNames)
	}
	if got := strings.Join(w.results, " "); got != results {
		t.Errorf("%s: results %q, want %q", what, got, results)
	}
	lines := strings.Count(w.log.String(), "\n")
	if line == "" && lines > 0 || line != "" && (lines != 1 || !strings.Contains(w.log.String(), line)) {
		t.Errorf("%s: logged %s, want %q", what, w.log.String(), line)
	}
	w.results = nil
	w.log.Reset()
}

func TestFilesReadAnew(t *testing.T) {
	dir := t.TempDir()
	pair, old := writePair(t, dir, "old.example.net")
	w := newWatched(t, Settings{Pairs: []Pair{pair}})
	w.expect(t, "start", old, "", `msg=certificate file=`+pair.CertFile+` names=[old.example.net] key="ECDSA P-256"`)

	if w.look(time.Now()) {
		t.Error("nothing has changed, and it wants to look again")
	}
	w.expect(t, "no change", old, "", "")

	_, renewed := writePair(t, dir, "new.example.net")
	if !w.look(time.Now()) {
		t.Error("it does not want to look again")
	}
	w.expect(t, "one look", old, "", "")
	if w.look(time.Now()) {
		t.Error("after the second look it wants another")
	}
	w.expect(t, "two looks", renewed, "ok", TLSA(renewed))

	// The certificate is there before its key; somebody writes it slowly.
	key := newKey(t)
	next := (*authority)(nil).issue(t, key, named("next.example.net"))
	text := certPEM(next)
	write(t, dir, "cert.pem", text[:200])
	w.look(time.Now())
	write(t, dir, "cert.pem", text[:400])
	w.look(time.Now())
	w.expect(t, "while it is written", renewed, "", "")
	w.lookTwice()
	w.expect(t, "half written", renewed, "invalid", "cut or damaged")
	w.lookTwice()
	w.expect(t, "still half written", renewed, "", "")
	write(t, dir, "cert.pem", text)
	w.lookTwice()
	w.expect(t, "without its key", renewed, "mismatched", "is not the key of the certificate")
	write(t, dir, "key.pem", keyPEM(t, key))
	w.lookTwice()
	w.expect(t, "with its key", next, "ok", "certificate read anew")

	if err := os.Remove(pair.KeyFile); err != nil {
		t.Fatal(err)
	}
	w.lookTwice()
	w.lookTwice()
	w.expect(t, "removed", next, "unreadable", "level=ERROR")
	write(t, dir, "key.pem", keyPEM(t, key))
	w.lookTwice()
	w.expect(t, "back again", next, "", "")
}

// TestRestless: files that differ at each look are not taken, and one line says so. They
// are taken when they rest. The same goes for two writers that undo each other's work.
func TestRestless(t *testing.T) {
	dir := t.TempDir()
	pair, old := writePair(t, dir, "old.example.net")
	w := newWatched(t, Settings{Pairs: []Pair{pair}})
	w.expect(t, "start", old, "", "msg=certificate")
	text := certPEM(old)
	for n := 1; n < restlessLooks; n++ {
		write(t, dir, "cert.pem", text+strings.Repeat("\n", n))
		if !w.look(time.Now()) {
			t.Fatal("it does not want to look again")
		}
	}
	w.expect(t, "not for long", old, "", "")
	for n := range 2 * restlessLooks {
		write(t, dir, "cert.pem", text+strings.Repeat("\n", 100+n))
		w.look(time.Now())
	}
	w.expect(t, "restless", old, "restless", "file="+pair.CertFile+` err="or `+pair.KeyFile+` was changed again`)
	w.look(time.Now())
	w.expect(t, "at rest", old, "ok", "certificate read anew")

	for n := range 2 * restlessLooks {
		write(t, dir, "cert.pem", text+strings.Repeat("\n", n%2))
		w.look(time.Now())
	}
	w.expect(t, "to and fro", old, "restless", "was changed again")
}

// TestEachFileByItself: a bad pair does not hold up another, nor the other files.
func TestEachFileByItself(t *testing.T) {
	first, second, more := t.TempDir(), t.TempDir(), t.TempDir()
	a, old := writePair(t, first, "a.example.net")
	b, _ := writePair(t, second, "b.example.net")
	ca, tickets := write(t, more, "ca", certPEM(old)), write(t, more, "t", strings.Repeat("ab", 32))
	w := newWatched(t, Settings{Pairs: []Pair{a, b}, ClientAuth: ClientAuthRequest, ClientCAFile: ca, TicketsFile: tickets})
	if got := w.Certificates(); len(got) != 2 || got[0].File != a.CertFile || !got[0].NotAfter.Equal(old.NotAfter) {
		t.Errorf("%v", got)
	}
	before := w.Config()
	write(t, first, "cert.pem", "nothing")
	_, renewed := writePair(t, second, "b.example.net")
	write(t, more, "ca", certPEM(renewed))
	write(t, more, "t", strings.Repeat("cd", 32))
	w.lookTwice()
	if set := w.current.Load(); !set.all[0].Leaf.Equal(old) || !set.all[1].Leaf.Equal(renewed) ||
		set.clients.Equal(before.ClientCAs) || w.Config() == before || before.ClientCAs == nil {
		t.Error("the other files were not read")
	}
	slices.Sort(w.results)
	if got := strings.Join(w.results, " "); got != "invalid ok ok ok" {
		t.Error(got)
	}
	for _, key := range []string{"key=tls.certificates[0].cert_file", "key=tls.client_ca_file", "key=tls.tickets_file"} {
		if !strings.Contains(w.log.String(), key) {
			t.Errorf("%s is not in\n%s", key, w.log.String())
		}
	}
	if strings.Contains(w.log.String(), "cdcdcd") {
		t.Error("the log shows a key")
	}
}

// TestKubernetesSwap: a mounted secret changes by one symbolic link above its files.
func TestKubernetesSwap(t *testing.T) {
	volume := t.TempDir()
	mount := func(name string) *x509.Certificate {
		dir := filepath.Join(volume, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		_, cert := writePair(t, dir, name+".example.net")
		temp := filepath.Join(volume, "..data_tmp")
		if err := os.Symlink(name, temp); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(temp, filepath.Join(volume, "..data")); err != nil {
			t.Fatal(err)
		}
		return cert
	}
	first := mount("..first")
	for _, name := range []string{"cert.pem", "key.pem"} {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(volume, name)); err != nil {
			t.Fatal(err)
		}
	}
	w := newWatched(t, Settings{Pairs: []Pair{{filepath.Join(volume, "cert.pem"), filepath.Join(volume, "key.pem")}}})
	w.expect(t, "start", first, "", "msg=certificate")
	second := mount("..second")
	w.lookTwice()
	w.expect(t, "swapped", second, "ok", TLSA(second))
	if err := os.RemoveAll(filepath.Join(volume, "..first")); err != nil {
		t.Fatal(err)
	}
	w.lookTwice()
	w.expect(t, "the old one is removed", second, "", "")
}

// TestUse: a reload of the configuration puts another set in the place of the one in use,
// and forgets what was found in files.
func TestUse(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	pair, cert := writePair(t, dir, "mx.example.net")
	w := newWatched(t, Settings{Pairs: []Pair{pair}})
	w.expect(t, "start", cert, "", "msg=certificate")
	w.Use(load(t, Settings{Pairs: []Pair{pair}, MinVersion: "1.3"}))
	w.expect(t, "another version", cert, "", "")
	if w.Config().MinVersion != Versions["1.3"] {
		t.Error("the version is that of before")
	}
	other, moved := writePair(t, elsewhere, "other.example.net")
	w.Use(load(t, Settings{Pairs: []Pair{other}}))
	w.expect(t, "another pair", moved, "ok", TLSA(moved))
	write(t, dir, "cert.pem", "nothing") // is nobody's any more
	w.lookTwice()
	w.expect(t, "the pair of before", moved, "", "")
	w.Use(load(t, Settings{}))
	if w.Config() != nil || len(w.Certificates()) > 0 {
		t.Error("a set without certificates has a configuration")
	}
}

// TestExpiryIsLogged: at a reading, and once a day.
func TestExpiryIsLogged(t *testing.T) {
	dir, key := t.TempDir(), newKey(t)
	pair, _ := writePair(t, dir, "mx.example.net")
	w := newWatched(t, Settings{Pairs: []Pair{pair}})
	now := time.Now()
	old := (*authority)(nil).issue(t, key, func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) })
	write(t, dir, "cert.pem", certPEM(old))
	write(t, dir, "key.pem", keyPEM(t, key))
	w.log.Reset()
	for i, want := range []int{0, 1, 1, 1, 2, 2} {
		at := now
		if i >= 4 {
			at = now.Add(warnEvery + time.Minute)
		}
		w.look(at)
		if got := strings.Count(w.log.String(), "expired on"); got != want {
			t.Errorf("after look %d: %d warnings, want %d\n%s", i, got, want, w.log.String())
		}
	}
}

// TestSwapUnderLoad: while pairs are swapped no handshake fails, and the first one after a
// swap has the new certificate.
func TestSwapUnderLoad(t *testing.T) {
	dir := t.TempDir()
	pair, _ := writePair(t, dir, "mx.example.net")
	k := NewKeeper(load(t, Settings{Pairs: []Pair{pair}}), quiet())
	var clients sync.WaitGroup
	for range 3 {
		clients.Go(func() {
			for range 15 {
				if _, _, err := shake(k.Config(), anyServer()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 10 {
		_, cert := writePair(t, dir, "mx.example.net")
		k.look(time.Now())
		k.look(time.Now())
		seen, _, err := shake(k.Config(), anyServer())
		if err != nil || !seen.PeerCertificates[0].Equal(cert) {
			t.Errorf("after a swap: the old certificate, %v", err)
		}
	}
	clients.Wait()
}

func TestRunEnds(t *testing.T) {
	pair, _ := writePair(t, t.TempDir(), "mx.example.net")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	NewKeeper(load(t, Settings{Pairs: []Pair{pair}}), quiet()).Run(ctx)
}
