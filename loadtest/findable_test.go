package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"sluice/internal/testkit"
	"sluice/loadtest/client"
	"sluice/loadtest/process"
)

// findable is a mail with something to be found in each place.
const findable = "From: =?utf-8?q?J=C3=B6rg?= <joerg@shop.example>\r\nTo: buyer@example.net\r\nSubject: Invoice 4711\r\nMessage-ID: <4711@shop.example>\r\n" +
	"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nPlease pay soon.\r\n" +
	"--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=\"bill may.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--b--\r\n"

// indexedGateway prepares a gateway with the index of those who try Sluice out.
func indexedGateway(t *testing.T) *process.Sluice {
	t.Helper()
	gateway := newGateway(t)
	gateway.Config = "index: {store: sqlite}\n"
	return gateway
}

// foundIDs returns the ids that sluice find finds.
func foundIDs(t *testing.T, gateway *process.Sluice, words ...string) (ids []string) {
	t.Helper()
	file, err := gateway.Configure()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	find := exec.CommandContext(ctx, gateway.Binary, append([]string{"find", "--json", "--limit", "1000", "--config", file, "--data", gateway.DataDir()}, words...)...)
	find.Env = withoutSettings()
	out, err := find.Output()
	if code := exitCode(err); code != 0 && code != 3 { // 3: nothing was found
		t.Logf("find: %v", err)
		return nil
	}
	for line := range strings.Lines(string(out)) {
		var m struct{ ID string }
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		ids = append(ids, m.ID)
	}
	return ids
}

// TestFindable: a message is found soon after its 250, by each word of a search, by the
// command and by the API.
func TestFindable(t *testing.T) {
	t.Parallel()
	needs(t)
	gateway := indexedGateway(t)
	startGateway(t, gateway)
	id := sendOne(t, gateway, findable)
	sent := time.Now()
	testkit.Eventually(t, "it is found", func() bool { return len(foundIDs(t, gateway)) == 1 })
	if took := time.Since(sent); took > 3*time.Second {
		t.Logf("it was found after %s, on a machine that is busy", took)
	}
	for _, words := range []string{
		"--from jorg", "--from @shop.example", "--from sender@example.org", "--to buyer@example.net", "--to recipient@example.net", "--subject 4711", "--text pay",
		"--attachment bill", "--attachment 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", "--client 127.0.0.0/8", "--message-id <4711@shop.example>", "--since 1h",
	} {
		name, value, _ := strings.Cut(words, " ")
		if ids := foundIDs(t, gateway, name, value); len(ids) != 1 || ids[0] != id {
			t.Errorf("find %s: %v", words, ids)
		}
		code := pageStatus(t, fmt.Sprintf("http://%s/api/v1/messages?%s=%s", gateway.Admin, strings.TrimPrefix(name, "--"), strings.NewReplacer("<", "%3C", ">", "%3E").Replace(value)), id)
		if code != http.StatusOK {
			t.Errorf("API %s: %d", words, code)
		}
	}
	if ids := foundIDs(t, gateway, "--subject", "4712"); len(ids) != 0 {
		t.Errorf("found what is not there: %v", ids)
	}
}

// TestFindableOnce: after kill -9 each message that was acknowledged has one row.
func TestFindableOnce(t *testing.T) {
	t.Parallel()
	needs(t)
	gateway := indexedGateway(t)
	var ids []string
	for range 3 {
		p := startGateway(t, gateway)
		for range 40 {
			ids = append(ids, sendOne(t, gateway, findable))
		}
		p.Kill()
	}
	startGateway(t, gateway)
	testkit.Eventually(t, "all are found", func() bool { return len(foundIDs(t, gateway)) >= len(ids) })
	rows := map[string]int{}
	for _, id := range foundIDs(t, gateway, "--subject", "invoice") {
		rows[id]++
	}
	for _, id := range ids {
		if rows[id] != 1 {
			t.Errorf("%s has %d rows", id, rows[id])
		}
	}
}

// sendOne sends a mail and returns its id.
func sendOne(t *testing.T, gateway *process.Sluice, text string) string {
	t.Helper()
	c, err := client.Dial(t.Context(), gateway.SMTP)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Begin(&client.Mail{From: "sender@example.org", To: []string{"recipient@example.net"}}); err != nil {
		t.Fatal(err)
	}
	receipt, err := c.Finish([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return receipt.ID
}

// pageStatus returns the status of a page, 0 if it does not have a text.
func pageStatus(t *testing.T, url, text string) int {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || !strings.Contains(string(body), text) {
		return 0
	}
	return answer.StatusCode
}
