package certificates

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestBadFiles: each has clear words that name the file and do not quote it.
func TestBadFiles(t *testing.T) {
	root := (*authority)(nil).authority(t, "root")
	key, other := newKey(t), newKey(t)
	cert := root.issue(t, key, named("mx.example.net"))
	good, goodKey, chain := certPEM(cert), keyPEM(t, key), certPEM(cert, root.cert)
	curve, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	odd := root.issue(t, curve, named("mx.example.net"))
	block := func(kind string, headers map[string]string) string {
		text := pem.EncodeToMemory(&pem.Block{Type: kind, Headers: headers, Bytes: []byte("something")})
		return string(text)
	}
	swapOne := func(text, from, to string) string { return strings.Replace(text, from, to, 1) }
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	ticket := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("ticket", 8))) + "\n"

	for _, c := range []struct {
		name, cert, key, clients, tickets string // contents, or paths
		at, result, text                  string
	}{
		{"no certificate file", dir + "/none", goodKey, "", "", "certificates[0].cert_file", "unreadable", "no such file"},
		{"no key file", good, dir + "/none", "", "", "certificates[0].key_file", "unreadable", "no such file"},
		{"folder", dir, goodKey, "", "", "certificates[0].cert_file", "unreadable", "is a folder"},
		{"pipe", good, fifo, "", "", "certificates[0].key_file", "unreadable", "not a regular file"},
		{"device", good, "/dev/zero", "", "", "certificates[0].key_file", "unreadable", "not a regular file"},
		{"huge", strings.Repeat("# much\n", 1<<18), goodKey, "", "", "certificates[0].cert_file", "unreadable", "longer than 1MiB"},
		{"empty", write(t, dir, "empty", ""), goodKey, "", "", "certificates[0].cert_file", "invalid", "is empty"},
		{"zeros", "\x00\x00", goodKey, "", "", "certificates[0].cert_file", "invalid", "no PEM block"},
		{"empty key", good, "\n", "", "", "certificates[0].key_file", "invalid", "no PEM block"},
		{"DER", string(cert.Raw), goodKey, "", "", "certificates[0].cert_file", "invalid", "turn DER into PEM"},
		{"exchanged", goodKey, good, "", "", "certificates[0].cert_file", "invalid", "are the two files exchanged?"},
		{"two certificates", good, good, "", "", "certificates[0].key_file", "invalid", "are the two files exchanged?"},
		{"request", block("CERTIFICATE REQUEST", nil), goodKey, "", "", "certificates[0].cert_file", "invalid", "the request for a certificate"},
		{"another block", block("DH PARAMETERS", nil), goodKey, "", "", "certificates[0].cert_file", "invalid", "has no certificate"},
		{"no certificate in it", block("CERTIFICATE", nil), goodKey, "", "", "certificates[0].cert_file", "invalid", "number 1, that cannot be read"},
		{"half a certificate", good[:len(good)/2], goodKey, "", "", "certificates[0].cert_file", "invalid", "cut or damaged"},
		{"half a chain", chain[:len(chain)-40], goodKey, "", "", "certificates[0].cert_file", "invalid", "cut or damaged"},
		{"damaged", swapOne(good, "M", "\x07"), goodKey, "", "", "certificates[0].cert_file", "invalid", "cut or damaged"},
		{"list of authorities", good + strings.Repeat(certPEM(root.cert), maxChain), goodKey, "", "", "certificates[0].cert_file", "invalid", "at most 16"},
		{"half a key", good, goodKey[:len(goodKey)-30], "", "", "certificates[0].key_file", "invalid", "cut or damaged"},
		{"no key in it", good, block("PRIVATE KEY", nil), "", "", "certificates[0].key_file", "invalid", "damaged or neither"},
		{"parameters", good, block("EC PARAMETERS", nil), "", "", "certificates[0].key_file", "invalid", "has no private key"},
		{"passphrase", good, block("ENCRYPTED PRIVATE KEY", nil), "", "", "certificates[0].key_file", "invalid", "passphrase"},
		{"old passphrase", good, block("RSA PRIVATE KEY", map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"}), "", "", "certificates[0].key_file", "invalid", "passphrase"},
		{"curve", certPEM(odd), keyPEM(t, curve), "", "", "certificates[0].key_file", "invalid", "P-256, P-384 and P-521"},
		{"mismatched", good, keyPEM(t, other), "", "", "certificates[0].key_file", "mismatched", "is not the key of the certificate in "},
		{"mismatched kinds", good, keyPEM(t, rsaKey()), "", "", "certificates[0].key_file", "mismatched", "is not the key of the certificate in "},
		{"chain begins with another", certPEM(root.cert, cert), goodKey, "", "", "certificates[0].cert_file", "mismatched", "which is number 2"},
		{"authorities: none", good, goodKey, goodKey, "", "client_ca_file", "invalid", "has no certificate"},
		{"authorities: damaged", good, goodKey, good[:len(good)/2], "", "client_ca_file", "invalid", "cut or damaged"},
		{"authorities: unreadable", good, goodKey, block("CERTIFICATE", nil), "", "client_ca_file", "invalid", "number 1, that cannot be read"},
		{"authorities: missing", good, goodKey, dir + "/none", "", "client_ca_file", "unreadable", "no such file"},
		{"tickets: none", good, goodKey, "", "# nothing\n\n", "tickets_file", "invalid", "has no key"},
		{"tickets: short", good, goodKey, "", ticket + "c2VjcmV0\n", "tickets_file", "invalid", "a key of 6 bytes in line 2"},
		{"tickets: short in hexadecimal", good, goodKey, "", "abcdef\n", "tickets_file", "invalid", "a key of 3 bytes in line 1"},
		{"tickets: no text", good, goodKey, "", "\xff\x01secret", "tickets_file", "invalid", "no key in line 1"},
		{"tickets: many", good, goodKey, "", strings.Repeat(ticket, maxTicketKeys+1), "tickets_file", "invalid", "more than 16"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := func(name, content string) string {
				if content == "" || strings.HasPrefix(content, "/") {
					return content
				}
				return write(t, dir, name, content)
			}
			_, faults := Load(Settings{
				Pairs:        []Pair{{path("c", c.cert), path("k", c.key)}},
				ClientCAFile: path("ca", c.clients), TicketsFile: path("t", c.tickets),
			})
			if len(faults) != 1 {
				t.Fatalf("faults %v", faults)
			}
			f := faults[0]
			if f.Key != c.at || f.Result != c.result || !strings.Contains(f.Text, c.text) || !strings.HasPrefix(f.Error(), f.File) {
				t.Errorf("%+v\nwant %s, %s, %q", *f, c.at, c.result, c.text)
			}
			for _, line := range strings.Fields(goodKey + c.key + c.tickets) {
				if len(line) > 5 && !strings.Contains(line, "-") && strings.Contains(strings.ReplaceAll(f.Error(), f.File, ""), line) {
					t.Errorf("%s quotes %q", f, line)
				}
			}
		})
	}
}

// TestNotAllowed: root may read everything, so the words are tried alone.
func TestNotAllowed(t *testing.T) {
	err := reason(&fs.PathError{Op: "open", Path: "/etc/key", Err: syscall.EACCES})
	if want := fmt.Sprintf("cannot be read by the user with id %d: permission denied", os.Geteuid()); err.Error() != want || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("%v", err)
	}
}

// TestEveryFaultIsFound: one fault does not hide those of other files.
func TestEveryFaultIsFound(t *testing.T) {
	_, faults := Load(Settings{
		Pairs: []Pair{{"/none/a", "/none/b"}, {"/none/c", "/none/d"}}, ClientCAFile: "/none/e", TicketsFile: "/none/f",
	})
	var keys []string
	for _, f := range faults {
		keys = append(keys, f.Key)
	}
	if got := strings.Join(keys, " "); got != "certificates[0].cert_file certificates[1].cert_file client_ca_file tickets_file" {
		t.Error(got)
	}
}

// TestGoodFiles: what other programs write can be read.
func TestGoodFiles(t *testing.T) {
	root := (*authority)(nil).authority(t, "root")
	key := newKey(t).(*ecdsa.PrivateKey)
	cert := root.issue(t, key, named("mx.example.net"))
	sec1, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	oldKey := "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" +
		string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1}))
	text := "Certificate:\n    Data: as openssl x509 -text has it\n" + certPEM(cert, root.cert)
	for name, texts := range map[string][2]string{
		"plain":         {certPEM(cert), keyPEM(t, key)},
		"SEC 1":         {certPEM(cert), oldKey},
		"text around":   {text, "Bag Attributes\n" + keyPEM(t, key)},
		"both in one":   {keyPEM(t, key) + certPEM(cert), keyPEM(t, key) + certPEM(cert)},
		"lines of DOS":  {strings.ReplaceAll(text, "\n", "\r\n"), strings.ReplaceAll(oldKey, "\n", "\r\n")},
		"empty line":    {"\n" + certPEM(cert), "\n\n" + keyPEM(t, key)},
		"no line's end": {strings.TrimSpace(certPEM(cert)), strings.TrimSpace(keyPEM(t, key))},
	} {
		dir := t.TempDir()
		set, faults := Load(Settings{Pairs: []Pair{{write(t, dir, "c", texts[0]), write(t, dir, "k", texts[1])}}})
		if len(faults) > 0 || len(set.all) != 1 {
			t.Errorf("%s: %v", name, faults)
		}
	}
	dir := t.TempDir()
	pkcs1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey().(*rsa.PrivateKey))})
	set := load(t, Settings{
		Pairs: []Pair{{write(t, dir, "c", certPEM(root.issue(t, rsaKey(), named("mx.example.net")))), write(t, dir, "k", string(pkcs1))}},
		TicketsFile: write(t, dir, "t", "# keys\n\n"+hex.EncodeToString([]byte(strings.Repeat("k", 32)))+"\r\n  "+
			base64.StdEncoding.EncodeToString([]byte(strings.Repeat("l", 48)))+"\n"+base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("m", 32)))),
		ClientCAFile: write(t, dir, "ca", certPEM(root.cert, cert)),
	})
	if n := len(set.parts[2].tickets); n != 3 {
		t.Errorf("%d ticket keys", n)
	}
	if none := load(t, Settings{}); none.config != nil || len(none.Warnings(time.Now())) > 0 {
		t.Error("without files there is a configuration")
	}
}

func TestWarnings(t *testing.T) {
	root := (*authority)(nil).authority(t, "root")
	between := root.authority(t, "between")
	now := time.Now()
	lives := func(before, after time.Duration) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.DNSNames, c.NotBefore, c.NotAfter = []string{"mx.example.net"}, now.Add(-before), now.Add(after)
		}
	}
	const d = 24 * time.Hour
	for _, c := range []struct {
		name  string
		edit  func(*x509.Certificate)
		chain []*x509.Certificate
		want  string // "" for no warning
	}{
		{"good", named("mx.example.net"), []*x509.Certificate{between.cert, root.cert}, ""},
		{"alone, of a private authority", named("mx.example.net"), nil, ""},
		{"alone, of a public one", func(c *x509.Certificate) {
			c.DNSNames, c.IssuingCertificateURL = []string{"mx.example.net"}, []string{"http://ca.example/1.crt"}
		}, nil, "fullchain.pem"},
		{"out of order", named("mx.example.net"), []*x509.Certificate{root.cert, between.cert}, "number 2 is not that of the issuer of number 1"},
		{"no name", nil, nil, "names no host"},
		{"for clients", func(c *x509.Certificate) {
			c.DNSNames, c.ExtKeyUsage = []string{"mx.example.net"}, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		}, nil, "is not for servers"},
		{"expired", lives(90*d, -time.Hour), nil, "expired on 20"},
		{"future", lives(-time.Hour, 90*d), nil, "is valid only from"},
		{"soon", lives(77*d, 13*d), nil, "in 13.0 days"},
		{"not so soon", lives(75*d, 15*d), nil, ""},
		{"short life, soon", lives(5*d+d/2, d/2), nil, "in 0.5 days"},
		{"short life, not so soon", lives(3*d, 3*d), nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, key := t.TempDir(), newKey(t)
			chain := append([]*x509.Certificate{between.issue(t, key, c.edit)}, c.chain...)
			set := load(t, Settings{Pairs: []Pair{{write(t, dir, "c", certPEM(chain...)), write(t, dir, "k", keyPEM(t, key))}}})
			got := set.Warnings(now)
			if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want) || !strings.HasPrefix(got[0], dir)) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
	dir := t.TempDir()
	weak := Settings{
		Pairs:       []Pair{{write(t, dir, "c", certPEM(between.issue(t, rsaKey(), named("a.example")))), write(t, dir, "k", keyPEM(t, rsaKey()))}},
		TicketsFile: write(t, dir, "t", strings.Repeat("ab", 32)),
	}
	for _, name := range []string{"c", "k", "t"} {
		if err := os.Chmod(filepath.Join(dir, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got := strings.Join(load(t, weak).Warnings(now), "\n")
	for _, want := range []string{"RSA key of 1024 bits", "/k is open to every user", "/t is open to every user"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %s", want, got)
		}
	}
	if strings.Contains(got, "/c is open") {
		t.Error("a certificate is no secret")
	}
}

// TestNothingShowsKeys: no way to print a set shows a key.
func TestNothingShowsKeys(t *testing.T) {
	dir := t.TempDir()
	pair, _ := writePair(t, dir, "mx.example.net")
	canary := strings.Repeat("canary!!", 4)
	set := load(t, Settings{Pairs: []Pair{pair}, TicketsFile: write(t, dir, "t", hex.EncodeToString([]byte(canary)))})
	private := set.all[0].PrivateKey.(*ecdsa.PrivateKey)
	secret, err := private.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	stack := stackOf(func() { NewKeeper(set, Options{}) }) // has no logger
	k := NewKeeper(set, quiet())
	shown := fmt.Sprintf("%v %+v %#v %s %v %+v %#v", set, set, set, set, k, k, struct{ S *Set }{set}) + stack
	for name, key := range map[string][]byte{"private key": secret, "ticket key": []byte(canary), "derived ticket key": set.parts[1].tickets[0][:]} {
		for _, form := range []string{string(key), hex.EncodeToString(key[:8]), fmt.Sprintf("%d", key[:4]), base64.StdEncoding.EncodeToString(key[:9])} {
			if strings.Contains(shown, strings.Trim(form, "[]")) {
				t.Errorf("the %s is shown in %s", name, shown)
			}
		}
	}
	if !strings.Contains(stack, "NewKeeper") {
		t.Errorf("no stack: %s", stack)
	}
}
