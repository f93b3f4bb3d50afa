package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sluice/loadtest/client"
)

// kill -9 leaves the page cache to the kernel, so the drill would not notice a
// missing fsync. Here the system calls themselves are watched: before the 250 is
// written, the object was synced, renamed and its folder synced, and the event
// log's files were synced after the last write to them.
func TestStraceFsyncBeforeReply(t *testing.T) {
	t.Parallel()
	needs(t, "strace")
	gateway := newGateway(t)
	trace := filepath.Join(t.TempDir(), "trace")
	// With -D the process that is started is the gateway and strace its
	// grandchild, so that signals and the exit status are the gateway's.
	p := startGateway(t, gateway, "strace", "-D", "-f", "-y", "-s", "100", "-o", trace,
		"-e", "trace=fsync,fdatasync,rename,renameat,renameat2,write,writev,pwrite64,sendto")
	c, err := client.Dial(t.Context(), gateway.SMTP)
	if err != nil {
		t.Fatal(err)
	}
	var receipt client.Receipt
	// The first message opens files and folders, the second finds them open.
	for range 2 {
		receipt, err = c.Send(&client.Mail{From: "sender@example.org", To: []string{"recipient@example.net"}, Content: []byte("Subject: x\r\n\r\nx\r\n")})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Quit(); err != nil {
		t.Fatal(err)
	}
	endGateway(t, p) // the trace is whole when the traced has ended
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	calls := transaction(t, finished(string(text)), receipt.ID)

	key := strings.ReplaceAll(filepath.Join(gateway.StoreDir(), "*", "*", "*", "*", receipt.ID+".eml"), "*", `\d+`)
	renamed := index(t, calls, 0, `^rename.*"([^"]+)", .*"`+key+`".* = 0$`)
	from := regexp.MustCompile(`"([^"]+)"`).FindStringSubmatch(calls[renamed])[1]
	wrote := index(t, calls, 0, `^write\(\d+<`+regexp.QuoteMeta(from)+`>`)
	synced := index(t, calls, wrote+1, `^f(data)?sync\(\d+<`+regexp.QuoteMeta(from)+`>\) = 0$`)
	if renamed < synced {
		t.Error("the object was renamed before it was synced")
	}
	folder := filepath.Dir(regexp.MustCompile(key).FindString(calls[renamed]))
	index(t, calls, renamed+1, `^fsync\(\d+<`+regexp.QuoteMeta(folder)+`>\) = 0$`)

	// The event goes to the log after the object is durable, and every file of the
	// log that was written is synced thereafter.
	logged := false
	for at, call := range calls {
		written := regexp.MustCompile(`^(?:write|writev|pwrite64)\(\d+<(` + regexp.QuoteMeta(gateway.DataDir()) + `/[^>]+\.(?:dat|idx|log))>`).FindStringSubmatch(call)
		if written == nil {
			continue
		}
		logged = logged || strings.HasSuffix(written[1], ".dat")
		index(t, calls, at+1, `^f(data)?sync\(\d+<`+regexp.QuoteMeta(written[1])+`>\) = 0$`)
		if at < renamed {
			t.Errorf("announced before it was stored: %s", call)
		}
	}
	if !logged {
		t.Errorf("nothing was written to the event log:\n%s", strings.Join(calls, "\n"))
	}
}

// transaction gives the calls between the 354 and the 250 of a message.
func transaction(t *testing.T, calls []string, id string) []string {
	t.Helper()
	end := index(t, calls, 0, `^(write|writev|sendto)\(.*"250 2\.0\.0 Ok `+id)
	for begin := end; begin >= 0; begin-- {
		if strings.Contains(calls[begin], `"354 `) {
			return calls[begin:end]
		}
	}
	t.Fatal("no 354 before the 250")
	return nil
}

// index finds the first call from a place on that matches; without one the
// durability is not what it is said to be.
func index(t *testing.T, calls []string, from int, pattern string) int {
	t.Helper()
	matching := regexp.MustCompile(pattern)
	at := slices.IndexFunc(calls[from:], matching.MatchString)
	if at < 0 {
		t.Fatalf("no call like %s in\n%s", pattern, strings.Join(calls[from:], "\n"))
	}
	return from + at
}

// finished gives the calls of a trace without their thread numbers. One that
// another thread's interrupted stands where it returned when it makes things
// durable, and where it began when it writes: that is the order to prove.
func finished(trace string) []string {
	var calls []string
	begun := map[string]string{}
	for line := range strings.Lines(trace) {
		thread, call, _ := strings.Cut(strings.TrimSpace(line), " ")
		call = strings.TrimLeft(call, " ")
		if head, cut := strings.CutSuffix(call, " <unfinished ...>"); cut {
			if strings.HasPrefix(head, "f") || strings.HasPrefix(head, "rename") {
				begun[thread] = head
				continue
			}
			call = head
		}
		if strings.HasPrefix(call, "<... ") {
			head, waited := begun[thread]
			if !waited {
				continue // a write, which stands where it began
			}
			delete(begun, thread)
			_, result, _ := strings.Cut(call, " resumed>")
			call = head + result
		}
		calls = append(calls, regexp.MustCompile(`\)\s+= `).ReplaceAllString(call, ") = "))
	}
	return calls
}
