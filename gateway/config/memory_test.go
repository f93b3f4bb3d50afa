package config

import (
	"strings"
	"testing"
)

// TestMemoryWarning checks the sum of what may be used at once, and that what the warning
// asks for mends it.
func TestMemoryWarning(t *testing.T) {
	for _, test := range []struct {
		name   string
		memory Size
		set    func(*Config)
		want   string // in the warning, "" for none
	}{
		{"the default", GiB, func(*Config) {}, ""},
		{"large buffers", GiB, func(c *Config) { c.Socket.ReceiveBuffer = 512 * KiB }, "set e.g. SLUICE_SOCKET_RECEIVE_BUFFER=128KiB"},
		{"large budget", GiB, func(c *Config) { c.Memory.Bodies = Share{Percent: 75} }, "SLUICE_SOCKET_RECEIVE_BUFFER=32KiB and SLUICE_MEMORY_BODIES="},
		{"many stalled sessions", GiB, func(c *Config) { c.Limits.StalledSessions = 2000 }, "limits.stalled_sessions 2000 × 2 × (socket.send_buffer 32KiB + socket.receive_buffer 128KiB) = 656MiB"},
		{"little memory", 128 * MiB, func(c *Config) { c.Memory.Bodies = Share{Octets: 60 * MiB} }, "give it "},
	} {
		c := DefaultOn(Machine{Hostname: "mx.example.org", Files: 20000, Memory: int64(test.memory)})
		test.set(&c)
		got := strings.Join(c.Warnings(), "\n")
		if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
		_, mend, found := strings.Cut(got, "set e.g. ")
		if !found {
			continue
		}
		env := strings.Split(strings.TrimSuffix(mend, " (docs/memory.md)"), " and ")
		mended, err := loadOn(c.machine, Sources{Env: env})
		mended.Limits = c.Limits
		if err != nil || len(mended.Warnings()) != 0 {
			t.Errorf("%s: %v still has %q, %v", test.name, env, mended.Warnings(), err)
		}
	}
}

func TestStalledSessionsFollowMemory(t *testing.T) {
	for memory, want := range map[Size]int{256 * MiB: 16, GiB: 32, 4 * GiB: 128, 64 * GiB: 256} {
		if got := DefaultOn(Machine{Memory: int64(memory)}).Limits.StalledSessions; got != want {
			t.Errorf("%d with %s, want %d", got, memory, want)
		}
	}
}

// TestMemoryOfTLS counts the sessions and handshakes of a listener with TLS.
func TestMemoryOfTLS(t *testing.T) {
	on := Machine{Hostname: "mx.example.org", Files: 20000, Memory: int64(GiB)}
	plain, secure := DefaultOn(on), DefaultOn(on)
	secure.Listeners[0].TLS = TLSStart
	more := secure.memoryNeed() - plain.memoryNeed()
	if want := Size(secure.Limits.Connections)*16*KiB + 1024*36*KiB; more != want {
		t.Errorf("TLS takes %s more, want %s", more, want)
	}
}

// TestMemoryOfVerification counts sessions, look-ups, answers and questions, as
// docs/memory.md does.
func TestMemoryOfVerification(t *testing.T) {
	plain := DefaultOn(Machine{Hostname: "mx.example.org", Files: 20000, Memory: int64(GiB)})
	verifying := plain
	verifying.Verify.Enabled = true
	more := verifying.memoryNeed() - plain.memoryNeed()
	if want := Size(plain.Limits.Connections)*8*KiB + 32*MiB + 64*MiB + 2000*16*KiB; more != want || plain.VerifyMemory(100) != 0 {
		t.Errorf("verification takes %s more, want %s, and %d when it is off", more, want, plain.VerifyMemory(100))
	}
}
