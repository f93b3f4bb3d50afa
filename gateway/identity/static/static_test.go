package static

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"sluice/gateway/identity"
	"sluice/gateway/identity/identitytest"
	"sluice/gateway/linefile"
	"sluice/internal/panics"
)

// argonText returns a quick argon2id of a password.
func argonText(w work, secret string) string {
	salt := []byte("somesalt")
	sum := argon2.IDKey([]byte(secret), salt, w.passes, w.memory, w.threads, 16)
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", w.memory, w.passes, w.threads,
		phc.EncodeToString(salt), phc.EncodeToString(sum))
}

// quick is the work of a hash that takes as little as there can be.
var quick = work{memory: 8, passes: 1, threads: 1}

// bcryptText returns a quick bcrypt of a password, by the name of its version.
func bcryptText(t testing.TB, version, secret string) string {
	t.Helper()
	text, err := bcrypt.GenerateFromPassword([]byte(secret), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return "$" + version + string(text)[3:]
}

func users(t testing.TB, lines ...string) *Users {
	t.Helper()
	u, err := read(linefile.Text(strings.NewReader(strings.Join(lines, "\n"))))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestConformance runs the suite of the port with each kind of hash.
func TestConformance(t *testing.T) {
	for name, text := range map[string]string{
		"argon2id": argonText(work{memory: 64, passes: 2, threads: 2}, "Tr0ub4dor"),
		"bcrypt":   bcryptText(t, "2b", "Tr0ub4dor"),
	} {
		t.Run(name, func(t *testing.T) {
			b := New(users(t, "# people", "", "Ann@Example.NET : "+text, "bob:"+argonText(quick, "other")))
			if b.Name() != "static" || b.Tokens() {
				t.Errorf("%s, %v", b.Name(), b.Tokens())
			}
			identitytest.Run(t, identitytest.Subject{
				Backend: b, User: "ann@example.NET", Secret: "Tr0ub4dor", Identity: "ann@example.net",
				Wrong: "Tr0ub4dor3", Stranger: "carl@example.net", StrangerVerdict: identity.Unknown,
			})
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// try makes an attempt and returns its verdict.
func try(b *Backend, user, secret string) identity.Verdict {
	a := identity.Attempt{Mechanism: "PLAIN", User: user, Secret: []byte(secret)}
	return b.Authenticate(context.Background(), &a).Verdict
}

// TestKnownHashes takes hashes that other programs have made.
func TestKnownHashes(t *testing.T) {
	for _, test := range []struct{ secret, text string }{
		// argon2(1) of the reference implementation
		{"password", "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"},
		// crypt_blowfish and OpenBSD
		{"U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"},
		{"U*U*U", "$2y$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a"},
		{"U*U*", "$2b$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"},
	} {
		b := New(users(t, "ann:"+test.text))
		if try(b, "ann", test.secret) != identity.Accepted || try(b, "ann", test.secret+".") != identity.Refused {
			t.Errorf("%s is not that of %s", test.text, test.secret)
		}
	}
	// Of a password bcrypt takes the first 72 bytes, wherever it was made.
	long := strings.Repeat("x", 72)
	if b := New(users(t, "ann:"+bcryptText(t, "2b", long))); try(b, "ann", long+"y") != identity.Accepted || try(b, "ann", long[1:]) != identity.Refused {
		t.Error("a long password")
	}
}

// TestRead checks that a file which is not whole is refused, where, and without the hash.
func TestRead(t *testing.T) {
	good, blow := argonText(quick, "secret"), bcryptText(t, "2b", "secret")
	with := func(old, fresh string) string { return "ann:" + strings.Replace(good, old, fresh, 1) }
	for _, test := range []struct{ text, want string }{
		{"", "no user in it"},
		{"# nobody\n", "no user in it"},
		{"ann:" + good + "\n\n# x\nbob " + good, "line 4: has no colon"},
		{"hunter2\n", "line 1: has no colon"},
		{":" + good, "line 1: its user is empty"},
		{" :" + good, "line 1: its user is empty"},
		{strings.Repeat("a", 256) + ":" + good, "line 1: its user is empty, longer than 255 bytes"},
		{"a\x00b:" + good, "line 1: its user is empty, longer"},
		{"a\tb:" + good, "line 1: its user is empty, longer"},
		{"\xff:" + good, "line 1: its user is empty, longer"},
		{"ann:" + good + "\nbob:" + blow + "\nANN:" + blow, `line 3: "ann" stands in an earlier line, too`},
		{"ann:", "line 1: its hash is neither"},
		{"ann:hunter2", "line 1: its hash is neither"},
		{"ann:$6$salt$secret", "line 1: its hash is neither"},
		{"ann:{ARGON2ID}" + good, "line 1: its hash is neither"},
		{with("$argon2id", "$argon2i"), "line 1: its hash is neither"},
		{with("v=19", "v=16"), "line 1: its hash is of another version"},
		{with("v=19$", ""), "line 1: its hash is of another version"},
		{with("m=8,t=1", "t=1,m=8"), "line 1: its hash is cut"},
		{with("p=1", "p=1,keyid=x"), "line 1: its hash is cut"},
		{with("p=1", "p=-1"), "line 1: its hash is cut"},
		{with("p=1", "p=0"), "line 1: its hash has p=0"},
		{with("m=8,t=1,p=1", "m=262144,t=1,p=17"), "line 1: its hash has p=0, or more than p=16"},
		{with("m=8,t=1,p=1", "m=8,t=1,p=999999999"), "line 1: its hash has p=0"},
		{with("m=8", "m=7"), "line 1: its hash takes less memory than m=8 for each"},
		{with("p=1", "p=2"), "line 1: its hash takes less memory than m=8 for each"},
		{with("m=8", "m=262145"), "line 1: its hash takes less memory than m=8 for each of its p, or more than m=262144"},
		{with("m=8", "m=4194304"), "line 1: its hash takes less"},
		{with("m=8", "m=99999999999999999999"), "line 1: its hash is cut"},
		{with("t=1", "t=0"), "line 1: its hash has t=0"},
		{with("t=1", "t=131073"), "line 1: its hash has t=0, or takes too long"},
		{with("m=8,t=1", "m=262144,t=5"), "line 1: its hash has t=0, or takes too long"},
		{with("c29tZXNhbHQ", "c29tZXNhbHR"), "line 1: its hash is cut"}, // bits behind the end
		{with("c29tZXNhbHQ", "c29tZXNhbA"), "line 1: its hash has a salt of fewer than 8"},
		{with("c29tZXNhbHQ", strings.Repeat("c29t", 22)), "line 1: its hash has a salt of fewer than 8 or more than 64"},
		{"ann:" + good[:len(good)-4], "line 1: its hash is cut or damaged"}, // bits behind the end
		{"ann:" + good[:len(good)-6], "line 1: its hash has fewer than 16"},
		{"ann:" + good + strings.Repeat("A", 70), "line 1: its hash has fewer than 16 or more than 64"},
		{"ann:" + good + "=", "line 1: its hash is cut"},
		{"ann:" + good + ":1000:1000", "line 1: its hash is cut"},
		{"ann:" + blow[:len(blow)-1], "line 1: its hash is cut"},
		{"ann:" + blow + "x", "line 1: its hash is cut"},
		{"ann:" + blow[:len(blow)-1] + "/", "line 1: its hash is cut"}, // bits behind the end
		{"ann:" + strings.Replace(blow, "$2b", "$2x", 1), "line 1: its hash is cut"},
		{"ann:" + strings.Replace(blow, "$04", "$03", 1), "line 1: its hash has a cost of less than 4"},
		{"ann:" + strings.Replace(blow, "$04", "$15", 1), "line 1: its hash has a cost of less than 4, or takes too long with one of more than 14"},
		{"ann:" + strings.Repeat("x", 5000), "line 1: longer than 4096 bytes"},
	} {
		_, err := read(linefile.Text(strings.NewReader(test.text)))
		if err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%.50q: %v, want %s", test.text, err, test.want)
			continue
		}
		for _, hidden := range []string{"hunter2", "c29tZXNhbH", blow[7:20]} {
			if strings.Contains(err.Error(), hidden) {
				t.Errorf("the error has the hash: %v", err)
			}
		}
	}
	name := filepath.Join(t.TempDir(), "users")
	if _, err := Read(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(name, []byte("ann:"+good), 0o600); err != nil {
		t.Fatal(err)
	}
	one, err := Read(name)
	if err != nil || one.Count() != 1 || one.Sum() != users(t, "ann:"+good).Sum() {
		t.Errorf("a file: %v", err)
	}
	if err := os.WriteFile(name, []byte("ann:hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(name); err == nil || !strings.HasPrefix(err.Error(), name+": line 1: its hash") {
		t.Errorf("a bad file: %v", err)
	}
}

// TestSameWork counts hashes: an unknown user takes the one hash that a known one takes,
// with the parameters of most users.
func TestSameWork(t *testing.T) {
	most, other := work{memory: 64, passes: 1, threads: 1}, work{memory: 16, passes: 3, threads: 1}
	u := users(t, "a:"+argonText(other, "x"), "b:"+argonText(most, "x"), "c:"+bcryptText(t, "2b", "x"), "d:"+argonText(most, "y"))
	b := New(u)
	var done []work
	b.matches = func(h *hash, secret []byte) bool {
		done = append(done, h.work)
		return h.matches(secret)
	}
	for _, test := range []struct {
		user, secret string
		verdict      identity.Verdict
		work         work
	}{
		{"b", "x", identity.Accepted, most},
		{"b", "z", identity.Refused, most},
		{"nobody", "x", identity.Unknown, most}, // also the password of b
		{"nobody", "z", identity.Unknown, most},
		{"nobody", strings.Repeat("z", identity.MaxSecret), identity.Unknown, most},
		{strings.Repeat("n", identity.MaxUser), "z", identity.Unknown, most},
		{"a", "z", identity.Refused, other},
		{"c", "z", identity.Refused, work{cost: 4}},
	} {
		done = nil
		if got := try(b, test.user, test.secret); got != test.verdict || !slices.Equal(done, []work{test.work}) {
			t.Errorf("%.10s, %.10s: verdict %d, work %v", test.user, test.secret, got, done)
		}
	}
	if u.Uniform() || !users(t, "a:"+argonText(most, "x"), "b:"+argonText(most, "y")).Uniform() {
		t.Error("whether all hashes take the same")
	}
	if b.Use(users(t, "e:"+bcryptText(t, "2y", "x"))); try(b, "nobody", "x") != identity.Unknown || done[len(done)-1].cost != 4 {
		t.Errorf("other users: %v", done)
	}
}

// TestMemory checks what one hash is said to take against what it allocates.
func TestMemory(t *testing.T) {
	for _, test := range []struct {
		text  string
		least int64
	}{
		{Hash([]byte("x")), 19 << 20},
		{argonText(work{memory: 32 << 10, passes: 1, threads: 4}, "x"), 32 << 20},
		{bcryptText(t, "2b", "x"), 4 << 10},
	} {
		u := users(t, "ann:"+argonText(quick, "x"), "bob:"+test.text)
		b := New(u)
		const times = 3
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range times {
			if try(b, "bob", "y") != identity.Refused {
				t.Error("not refused")
			}
		}
		runtime.ReadMemStats(&after)
		took := int64(after.TotalAlloc-before.TotalAlloc) / times
		if took < test.least || took > u.Memory() || u.Memory() > test.least+128<<10 {
			t.Errorf("%.30s: it takes %d bytes, %d are told", test.text, took, u.Memory())
		}
	}
}

// TestUse exchanges the users while attempts are made: each has those before or after.
func TestUse(t *testing.T) {
	before, after := users(t, "ann:"+argonText(quick, "old")), users(t, "ann:"+argonText(quick, "new"))
	b := New(before)
	var all sync.WaitGroup
	for range 2 {
		all.Add(1)
		go panics.Keep(panics.Identity, func() {
			defer all.Done()
			for range 500 {
				if try(b, "ann", "neither") != identity.Refused {
					t.Error("not refused")
				}
			}
		})
	}
	for range 500 {
		b.Use(after)
		b.Use(before)
	}
	all.Wait()
	if b.Use(after); try(b, "ann", "new") != identity.Accepted || try(b, "ann", "old") != identity.Refused {
		t.Error("the users before are still there")
	}
}

// TestHash checks that each hash is another, and that it is one of the recommended work.
func TestHash(t *testing.T) {
	one, two := Hash([]byte("x")), Hash([]byte("x"))
	if h, err := parseHash(one); err != nil || h.work != recommended || len(h.salt) != 16 || len(h.sum) != 32 || one == two ||
		!strings.HasPrefix(one, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("%s, %s: %v", one, two, err)
	}
	if b := New(users(t, "ann:"+one)); try(b, "ann", "x") != identity.Accepted || try(b, "ann", "y") != identity.Refused {
		t.Error("it is that of another password")
	}
}

// FuzzRead checks that no line makes a hash that takes more than it may, that errors have
// nothing of the line but a user's name, and that who was read is known.
func FuzzRead(f *testing.F) {
	f.Add("ann:" + argonText(quick, "x") + "\n# y\n\nBob@example.net:$2b$04$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW")
	f.Add("ann:$argon2id$v=19$m=262144,t=4,p=16$c29tZXNhbHQ$c29tZXNhbHRzb21lc2FsdA")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := read(linefile.Text(strings.NewReader(text)))
		if err != nil {
			return
		}
		most := 0
		for _, n := range u.works {
			most = max(most, n)
		}
		if u.Count() == 0 || u.usual == nil || u.works[u.usual.work] != most {
			t.Fatalf("%d users, %v is usual", u.Count(), u.usual)
		}
		for name, h := range u.hashes {
			if h.memory > maxMemory || uint64(h.memory)*uint64(h.passes) > maxWork || h.threads > maxThreads || h.cost > maxCost ||
				h.bytes() > u.Memory() || (h.passes == 0) == (h.cost == 0) {
				t.Fatalf("%q has %+v", name, h.work)
			}
			if name != strings.ToLower(name) || !strings.Contains(strings.ToLower(text), name) {
				t.Fatalf("%q is not in the file", name)
			}
			if h.passes > 0 && h.memory*h.passes <= 64 || h.cost == 4 {
				h.matches([]byte("x")) // without a panic
			}
		}
	})
}

// BenchmarkHash measures one attempt with what sluice hash-password makes, and with the
// most that a line may take.
func BenchmarkHash(b *testing.B) {
	for _, w := range []work{recommended, {memory: maxMemory, passes: maxWork / maxMemory, threads: 1}, {memory: 8, passes: maxWork / 8, threads: 1}, {cost: 10}, {cost: maxCost}} {
		b.Run(fmt.Sprintf("%+v", w), func(b *testing.B) {
			h := &hash{work: w, salt: make([]byte, 16), sum: make([]byte, 32)}
			if w.cost > 0 {
				h.text = fmt.Appendf(nil, "$2b$%02d$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", w.cost)
			}
			b.ReportAllocs()
			for b.Loop() {
				if h.matches([]byte("secret")) {
					b.Fatal("it matches")
				}
			}
		})
	}
}
