package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sluice/internal/testkit"
	"sluice/loadtest/process"
)

// logged is a gateway whose log is asked by the commands of docs/log.md.
type logged struct {
	t        *testing.T
	gateway  *process.Sluice
	process  *process.Process
	commands []string // of docs/log.md
}

// ask runs a command of docs/log.md with other values, in a folder with the log.
func (l *logged) ask(line string, values ...string) string {
	l.t.Helper()
	dir := l.t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "sluice.log"), []byte(l.process.Output()), 0o600); err != nil {
		l.t.Fatal(err)
	}
	values = append(values, "sluice cat", l.gateway.Binary+" cat --data "+l.gateway.DataDir(),
		"kafka1.example.net:9093", l.gateway.Events)
	return command(l.t, "sh", "-c", "cd "+dir+" && "+strings.NewReplacer(values...).Replace(line))
}

// TestWhatHappenedToThatMail asks the question of an SRE: what became of the mail from X at
// 10:03? One jq over the log finds its line by sender and minute, with it sluice cat prints
// the message, and kcat the event. Whatever else happened in its session is found by its
// id, and so are a refused mail and one that was lost.
func TestWhatHappenedToThatMail(t *testing.T) {
	t.Parallel()
	needs(t, "swaks", "jq", "kcat")
	gateway := newGateway(t)
	gateway.Config = "log: {format: json}\n"
	l := &logged{t: t, gateway: gateway, process: startGateway(t, gateway)}
	for _, block := range fenced(t, "../docs/log.md", "What happened to that mail?") {
		l.commands = append(l.commands, strings.Split(strings.TrimSpace(block), "\n")...)
	}
	if len(l.commands) != 4 {
		t.Fatalf("docs/log.md has the commands %q", l.commands)
	}
	host, port, _ := strings.Cut(gateway.SMTP, ":")
	send := func(args ...string) {
		args = append([]string{"--server", host, "--port", port, "--helo", "client.example.org", "--body", "It is me."}, args...)
		command(t, "swaks", args...)
	}
	send("--from", "somebody@example.org", "--to", "one@example.net")
	began := time.Now()
	send("--from", "x@example.org", "--to", "one@example.net,two@example..net,three@example.net", "--h-Message-Id", "<asked@example.org>")
	var found []map[string]any
	testkit.Eventually(t, "the line of the mail", func() bool {
		found = nil
		for _, minute := range minutes(began, time.Now()) {
			found = append(found, objects(t, l.ask(l.commands[0], "sender@example.org", "x@example.org", "2026-11-27T10:03", minute))...)
		}
		return len(found) == 2
	})
	refused, accepted := found[0], found[1]
	if accepted["msg"] != "accepted" {
		refused, accepted = accepted, refused
	}
	if refused["msg"] != "refused" || refused["verb"] != "RCPT" || refused["to"] != "two@example..net" ||
		refused["session"] != accepted["session"] {
		t.Errorf("refused: %v, in the session %v", refused, accepted["session"])
	}
	to, _ := accepted["to"].([]any)
	if len(to) != 2 || to[1] != "three@example.net" || accepted["message_id"] != "<asked@example.org>" || accepted["helo"] != "client.example.org" {
		t.Errorf("accepted: %v", accepted)
	}
	id, session := accepted["id"].(string), accepted["session"].(string)
	octets := l.ask(l.commands[1], "ID", id)
	if !strings.HasPrefix(octets, "Received: from client.example.org (") || !strings.Contains(octets, id) ||
		!strings.Contains(octets, "\r\n\r\nIt is me.\r\n") {
		t.Errorf("sluice cat printed %q", octets)
	}
	messages, _ := inventory(t, gateway)
	if stored := string(messages[id]); !strings.HasSuffix(octets, stored) || float64(len(stored)) != accepted["octets"] {
		t.Errorf("sluice cat printed %q, stored is %q", octets, stored)
	}
	if lines := objects(t, l.ask(l.commands[2], "SESSION", session)); len(lines) != 2 {
		t.Errorf("the lines of the session are %v", lines)
	}
	number := func(key string) string { n, _ := json.Marshal(accepted[key]); return string(n) }
	event := l.ask(l.commands[3], "TOPIC", accepted["topic"].(string), "PARTITION", number("partition"), "EVENT_OFFSET", number("event_offset"))
	if !strings.Contains(event, `{"id":"`+id+`"`) {
		t.Errorf("the event is %s", event)
	}
}

// minutes returns the minutes of a time, as the log has them.
func minutes(from, to time.Time) (all []string) {
	const minute = "2006-01-02T15:04"
	for at := from.Truncate(time.Minute); !at.After(to); at = at.Add(time.Minute) {
		all = append(all, at.Format(minute))
	}
	return all
}

// objects returns the objects of lines of JSON.
func objects(t *testing.T, lines string) (all []map[string]any) {
	t.Helper()
	for line := range strings.Lines(lines) {
		var values map[string]any
		if err := json.Unmarshal([]byte(line), &values); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		all = append(all, values)
	}
	return all
}

// TestEveryFieldOfALineIsDocumented compares the line of a message with docs/log.md.
func TestEveryFieldOfALineIsDocumented(t *testing.T) {
	source, err := os.ReadFile("../gateway/maillog/format.go")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../docs/log.md")
	if err != nil {
		t.Fatal(err)
	}
	fields := regexp.MustCompile(`newField\("([a-z_]+)"\)`).FindAllStringSubmatch(string(source), -1)
	for _, field := range fields {
		if !strings.Contains(string(page), "`"+field[1]+"`") {
			t.Errorf("docs/log.md does not say what %s is", field[1])
		}
	}
	if len(fields) < 20 {
		t.Errorf("only %d fields were found", len(fields))
	}
}
