package stack

import (
	"os"
	"testing"

	"sluice/loadtest/process"
)

// skipShort skips the test of make check, which needs no server that must be installed.
func skipShort(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a real server")
	}
}

// MinIO starts an empty object store that ends with the test. What it printed is
// shown when the test fails.
func MinIO(t testing.TB, settings ...MinIOSettings) *MinIOServer {
	t.Helper()
	skipShort(t)
	var chosen MinIOSettings
	if len(settings) > 0 {
		chosen = settings[0]
	}
	m, err := newMinIO(t.TempDir(), freeAddress(t), chosen)
	if err != nil {
		t.Fatal(err)
	}
	endsWith(t, m.Server)
	return m
}

// Kafka starts an empty broker that ends with the test. What it printed is shown
// when the test fails.
func Kafka(t testing.TB, settings ...KafkaSettings) *KafkaServer {
	t.Helper()
	skipShort(t)
	var chosen KafkaSettings
	if len(settings) > 0 {
		chosen = settings[0]
	}
	// A broker that was killed may come back when the session of the dead one has
	// ended, 9 s by default.
	chosen.Properties = append([]string{"broker.session.timeout.ms=3000", "broker.heartbeat.interval.ms=500"}, chosen.Properties...)
	k, err := newKafka(t.TempDir(), freeAddress(t), freeAddress(t), chosen)
	if err != nil {
		t.Fatal(err)
	}
	endsWith(t, k.Server)
	return k
}

func endsWith(t testing.TB, s *Server) {
	t.Helper()
	// Killed, not asked: its folder is thrown away, and a test may have paused it.
	t.Cleanup(func() {
		if err := s.Kill(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("%s printed:\n%s", s.Name, s.LogTail())
		}
	})
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}

func freeAddress(t testing.TB) string {
	t.Helper()
	address, err := process.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// Postgres starts an empty database server that ends with the test.
func Postgres(t testing.TB) *PostgresServer {
	t.Helper()
	skipShort(t)
	// A folder of its own: when we are root the server is not, and may not
	// enter t.TempDir().
	dir, err := os.MkdirTemp("", "sluice-postgres-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p, err := newPostgres(dir, freeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	endsWith(t, p.Server)
	// Asked before it is killed: a killed one leaves its shared memory in the kernel.
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// Prometheus starts an empty server that reads the metrics of a target (host:port)
// and ends with the test.
func Prometheus(t testing.TB, target string) *PrometheusServer {
	t.Helper()
	skipShort(t)
	p, err := newPrometheus(t.TempDir(), freeAddress(t), target)
	if err != nil {
		t.Fatal(err)
	}
	endsWith(t, p.Server)
	return p
}

// Slapd starts a directory that ends with the test.
func Slapd(t testing.TB, settings SlapdSettings) *SlapdServer {
	t.Helper()
	skipShort(t)
	s, err := newSlapd(t.TempDir(), freeAddress(t), freeAddress(t), settings)
	if err != nil {
		t.Fatal(err)
	}
	endsWith(t, s.Server)
	return s
}
