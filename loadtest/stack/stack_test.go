package stack

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/internal/testkit"
)

// checkLives ends, pauses and restarts a server and asks it each time.
func checkLives(t *testing.T, s *Server) {
	t.Helper()
	if err := s.Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := s.Healthy(ctx); err == nil {
		t.Error("it answers while it is paused")
	}
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := s.Healthy(t.Context()); err != nil {
		t.Errorf("after the pause: %v", err)
	}
	for name, end := range map[string]func() error{"kill": s.Kill, "stop": s.Stop} {
		before := s.PID()
		if err := end(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := s.Healthy(t.Context()); err == nil {
			t.Errorf("%s: it still answers", name)
		}
		if err := s.Restart(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if s.PID() == before {
			t.Errorf("%s: the same process", name)
		}
	}
}

func TestMinIO(t *testing.T) {
	checkLives(t, MinIO(t).Server)
}

func TestMinIOOverTLS(t *testing.T) {
	m := MinIO(t, MinIOSettings{TLS: true})
	conn, err := net.Dial("tcp", m.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if _, err := os.Stat(m.CAFile); err != nil {
		t.Error(err)
	}
}

func TestKafka(t *testing.T) {
	k := Kafka(t)
	if err := k.CreateTopic(t.Context(), "kept", 3, map[string]string{"min.insync.replicas": "1"}); err != nil {
		t.Fatal(err)
	}
	checkLives(t, k.Server)
	if err := k.CreateTopic(t.Context(), "kept", 3, nil); err == nil {
		t.Error("the topic was lost with the broker")
	}
}

func TestKafkaFolderWithComma(t *testing.T) {
	skipShort(t)
	dir := filepath.Join(t.TempDir(), "of two, halves")
	if _, err := StartKafka(dir); err == nil || !strings.Contains(err.Error(), "comma") {
		t.Errorf("%v", err)
	}
}

func TestPostgres(t *testing.T) {
	p := Postgres(t)
	psql, err := installed("psql", postgresPlace)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(sql string) string {
		t.Helper()
		// -X reads no settings of whoever runs the test, -At prints values alone.
		out, err := exec.CommandContext(t.Context(), psql, "-X", "-At", "-v", "ON_ERROR_STOP=1", "-d", p.URL, "-c", sql).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", sql, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	ask("CREATE TABLE kept AS SELECT 42 AS answer")
	checkLives(t, p.Server)
	if answer := ask("SELECT answer FROM kept"); answer != "42" {
		t.Errorf("the table was lost with the server: %q", answer)
	}
}

func TestPrometheus(t *testing.T) {
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "stack_answer 42")
	}))
	defer target.Close()
	p := Prometheus(t, target.Listener.Addr().String())
	checkLives(t, p.Server)
	testkit.Eventually(t, "the target was read", func() bool {
		reply, err := http.Get("http://" + p.Address + "/api/v1/query?query=stack_answer")
		if err != nil {
			t.Fatal(err)
		}
		defer reply.Body.Close()
		text, err := io.ReadAll(reply.Body)
		return err == nil && strings.Contains(string(text), `"42"`)
	})
}

// TestDiesWithUs kills a program that started a server and looks for the server.
func TestDiesWithUs(t *testing.T) {
	skipShort(t)
	if os.Getenv("STACK_CHILD") != "" {
		m := MinIO(t)
		if err := os.WriteFile(os.Getenv("STACK_CHILD"), []byte(strconv.Itoa(m.PID())), 0o600); err != nil {
			t.Fatal(err)
		}
		select {}
	}
	file := t.TempDir() + "/pid"
	program := exec.Command(os.Args[0], "-test.run=^TestDiesWithUs$")
	program.Env = append(os.Environ(), "STACK_CHILD="+file, "TMPDIR="+t.TempDir())
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = program.Process.Kill() }()
	var pid int
	testkit.Eventually(t, "the server runs", func() bool {
		text, _ := os.ReadFile(file)
		pid, _ = strconv.Atoi(strings.TrimSpace(string(text)))
		return pid > 0
	})
	if err := program.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = program.Wait()
	testkit.Eventually(t, "the server is gone", func() bool { return syscall.Kill(pid, 0) != nil })
}

func TestSlapd(t *testing.T) {
	checkLives(t, Slapd(t, SlapdSettings{}).Server)
}
