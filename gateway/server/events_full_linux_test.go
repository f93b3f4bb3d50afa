package server

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/gateway/config"
	"sluice/internal/testkit"
)

// fullFolder names the folder on which the child of TestFullEventLog mounts a small disk.
const fullFolder = "SLUICE_TEST_FULL"

// TestFullEventLog checks, in a process that may mount a disk of its own, that a full disk
// below the embedded log is 452, leaves no object, and is over when there is room again.
func TestFullEventLog(t *testing.T) {
	command := exec.CommandContext(testkit.Deadline(t), os.Args[0], "-test.run=^TestGatewayWithFullLog$", "-test.v")
	command.Env = append(os.Environ(), fullFolder+"="+t.TempDir())
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := command.CombinedOutput()
	switch {
	case strings.Contains(string(out), "PASS: TestGatewayWithFullLog"):
	case os.Getenv("TEST_TOOLS") != "required" && len(out) == 0:
		t.Skipf("no namespace: %v", err)
	default:
		t.Errorf("%v\n%s", err, out)
	}
}

// TestGatewayWithFullLog is the child of TestFullEventLog.
func TestGatewayWithFullLog(t *testing.T) {
	folder := os.Getenv(fullFolder)
	if folder == "" {
		t.Skip("the child of TestFullEventLog")
	}
	r := launch(t, func(c *config.Config) {
		c.Store.Packing, c.DataDir = config.PackingOff, folder
		if err := os.MkdirAll(c.EventsDir(), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("none", c.EventsDir(), "tmpfs", 0, "size=256k"); err != nil {
			t.Fatal(err)
		}
	})
	ballast := r.config.EventsDir() + "/ballast"
	r.oneMail(t)
	_ = os.WriteFile(ballast, make([]byte, 256<<10), 0o640) // as much as there is room for
	var reply string
	testkit.Eventually(t, "a message is refused", func() bool {
		reply = r.send(t)
		return !strings.HasPrefix(reply, "250")
	})
	if !strings.HasPrefix(reply, "452 4.3.1 ") {
		t.Errorf("got %q", reply)
	}
	testkit.Eventually(t, "its object is removed", func() bool {
		return r.storedObjects(t) == r.sample(t, `sluice_messages_total{result="accepted"}`)
	})
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "mail is taken", func() bool { return strings.HasPrefix(r.send(t), "250 ") })
	r.end(t)
}
