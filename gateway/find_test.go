package main

import (
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/index"
	"sluice/index/sqlite"
	"sluice/pipeline"
)

// hostile is a text with which a stranger would command a terminal.
const hostile = "\x1b]0;owned\x07 \u009b31m \u202egnp.exe\nfake line \x7f"

// row returns the row of a message that is stored in a pack, with an id of that time.
func row(key string, m *pipeline.Message, at time.Time, subject string) *index.Message {
	r := &index.Message{
		ID: pipeline.NewID(at, rand.New(rand.NewPCG(rand.Uint64(), 1))), ReceivedAt: at.UTC().Truncate(time.Millisecond), Gateway: "mx1.example.net",
		Client:   index.Client{Address: netip.MustParseAddr("192.0.2.7"), Port: 4711, Helo: "relay.example.org", Protocol: "ESMTP", Role: "mx"},
		MailFrom: "anna@example.org", RcptTo: []string{"bo@example.net", "cy@example.net"}, Size: 99, SHA256: strings.Repeat("ab", 32),
		Blob: index.Blob{Store: "dir", Bucket: "objects", Key: key, Length: m.Result.Blob.Length, Offset: m.Result.Blob.Offset},
		Header: index.Header{
			MessageID: "1@example.org", From: []index.Address{{Name: index.Text{Text: "Anna"}, Address: "anna@example.org"}},
			Subject: index.Text{Text: subject}, Date: at.UTC().Truncate(time.Second),
		},
		Parts:   []index.Part{{Number: "1", Type: "text/plain", Size: 5}, {Number: "2", Type: "application/pdf", Disposition: "attachment", Name: index.Text{Text: "offer.pdf"}, Size: 7}},
		Defects: []index.Defect{{Kind: index.DefectCharset, Part: "1"}},
		Verdicts: &pipeline.Verdicts{
			Disposition: "accept", SPF: pipeline.SPFVerdict{Result: "pass", Domain: "example.org"},
			DMARC: pipeline.DMARCVerdict{Result: "fail", From: "example.org", Policy: "reject"}, IPRev: pipeline.IPRevVerdict{Result: "pass", Name: "relay.example.org"},
		},
	}
	index.Clean(r)
	index.SetTerms(r, "hello there")
	return r
}

// indexed makes an index of rows in a data folder.
func indexed(t *testing.T, data string, rows ...*index.Message) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(data, "index"), 0o700); err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(t.Context(), filepath.Join(data, "index", "index.db"))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := store.Insert(t.Context(), rows); err != nil || n != len(rows) {
		t.Fatalf("%d inserted, %v", n, err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestFind finds messages by words of each kind and shows them without what they hide.
func TestFind(t *testing.T) {
	data := t.TempDir()
	key, stored := storedPack(t, data, 0, "one\r\n", "two\r\n")
	now := time.Now()
	first, second := row(key, stored[0], now.Add(-time.Hour), "Invoice of May"), row(key, stored[1], now, "Invoice "+hostile)
	indexed(t, data, first, second)
	newest := []string{second.ID.String(), first.ID.String()}
	for _, c := range []struct {
		args string
		ids  []string
	}{
		{"", newest},
		{"--subject invoice --from anna@example.org --to @example.net --client 192.0.2.0/24 --helo RELAY.example.org", newest},
		{"--subject may", []string{first.ID.String()}},
		{"--subject invoice --subject may", []string{first.ID.String()}},
		{"--text hello --attachment offer --message-id <1@example.org> --verdict dmarc=fail --verdict spf=pass", newest},
		{"--since 30m", []string{second.ID.String()}},
		{"--until 30m", []string{first.ID.String()}},
		{"--subject nothing", nil},
		{"--verdict dmarc=pass", nil},
	} {
		args := append([]string{"find", "--json", "--data", data}, strings.Fields(c.args)...)
		got := run(nil, nil, args...)
		var ids []string
		for line := range strings.Lines(got.out) {
			var m index.Message
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			ids = append(ids, m.ID.String())
		}
		code := exitOK
		if c.ids == nil {
			code = exitNothing
		}
		if got.code != code || !slices.Equal(ids, c.ids) {
			t.Errorf("find %s: %d, %v, %q", c.args, got.code, ids, got.err)
		}
	}
	table := run(nil, nil, "find", "--data", data)
	if lines := strings.Split(table.out, "\n"); table.code != exitOK || len(lines) != 4 || !strings.Contains(table.out, "Invoice of May") ||
		!strings.Contains(lines[0], "ATTACHMENTS") || !strings.Contains(lines[1], "bo@example.net,cy@example.net") || !strings.Contains(lines[1], "offer.pdf") {
		t.Errorf("%+v", table)
	}
	shown := run(nil, nil, "show", "--data", data, second.ID.String())
	for _, part := range []string{
		second.ID.String(), "[192.0.2.7]:4711", "relay.example.org", "ESMTP", "<anna@example.org>", "<cy@example.net>", "Anna <anna@example.org>",
		"fail example.org reject", "offer.pdf", "charset in part 1", key, "1@example.org",
	} {
		if !strings.Contains(shown.out, part) {
			t.Errorf("show has no %q: %s", part, shown.out)
		}
	}
	asJSON := run(nil, nil, "show", "--json", "--data", data, second.ID.String())
	var again index.Message
	if err := json.Unmarshal([]byte(asJSON.out), &again); err != nil || again.Header.Subject.Text != second.Header.Subject.Text {
		t.Errorf("%v: %+v", err, again)
	}
	for name, r := range map[string]ran{"find": table, "show": shown, "show --json": asJSON, "find --json": run(nil, nil, "find", "--json", "--data", data)} {
		if strings.ContainsAny(r.out, "\x1b\x07\u009b\u202e\x7f") || strings.Contains(r.out, "\nfake") {
			t.Errorf("%s: what a stranger wrote reaches the terminal: %q", name, r.out)
		}
	}
}

// TestFindPages follows cursors.
func TestFindPages(t *testing.T) {
	data := t.TempDir()
	key, stored := storedPack(t, data, 0, "1\r\n", "2\r\n", "3\r\n")
	var rows []*index.Message
	for _, m := range stored {
		rows = append(rows, row(key, m, time.Now(), "x"))
	}
	indexed(t, data, rows...)
	var ids []string
	args := []string{"find", "--json", "--limit", "1", "--data", data}
	for cursor := ""; ; {
		more := args
		if cursor != "" {
			more = append(more, "--cursor", cursor)
		}
		got := run(nil, nil, more...)
		if got.code != exitOK {
			t.Fatalf("%+v", got)
		}
		ids = append(ids, got.out[:strings.IndexByte(got.out, ',')])
		_, next, found := strings.Cut(got.err, "--cursor ")
		if cursor = strings.TrimSpace(next); !found {
			break
		}
	}
	if slices.Sort(ids); len(slices.Compact(ids)) != len(rows) {
		t.Errorf("%q", ids)
	}
}

// TestFindRefuses says what is wrong with a search, and with an index that is not there.
func TestFindRefuses(t *testing.T) {
	data := t.TempDir()
	indexed(t, data)
	for _, c := range []struct {
		args, err string
		code      int
	}{
		{"find --verdict nonsense", "--verdict: must be NAME=RESULT", exitUsage},
		{"find --limit 0", "--limit: must be a number from 1", exitUsage},
		{"find --since yesterday", "--since: must be a time", exitUsage},
		{"find --cursor nonsense", "--cursor: must be one that find has shown", exitUsage},
		{"find --nonsense x", "unknown flag", exitUsage},
		{"show nonsense", "is not the id of a message", exitUsage},
		{"show 01920000-0000-7000-8000-000000000000", "no message 01920000", exitNothing},
		{"export --subject x", "mbox", exitUsage},
		{"export --mbox " + filepath.Join(data, "none"), "0 messages exported", exitNothing},
		{"export --mbox " + filepath.Join(data, "index", "index.db"), "file exists", exitFailure},
		{"export --eml " + filepath.Join(data, "nowhere"), "no such file", exitFailure},
	} {
		if got := run(nil, nil, append(strings.Fields(c.args), "--data", data)...); got.code != c.code || !strings.Contains(got.err, c.err) {
			t.Errorf("%s: %+v", c.args, got)
		}
	}
	if got := run(nil, nil, "find", "--data", t.TempDir()); got.code != exitFailure || !strings.Contains(got.err, "sluice serve makes it") {
		t.Errorf("no index: %+v", got)
	}
	if got := run([]string{"SLUICE_INDEX_STORE=off"}, nil, "find", "--data", data); got.code != exitConfig || !strings.Contains(got.err, `index.store: got "off"`) {
		t.Errorf("off: %+v", got)
	}
}

// TestFindHasAllWords: find has a flag for each word of a search, with its help.
func TestFindHasAllWords(t *testing.T) {
	values := (&searchFlags{}).values()
	help := strings.Join(strings.Fields(run(nil, nil, "find", "--help").out), " ")
	for _, p := range index.Parameters {
		if _, ok := values[p.Name]; !ok || !strings.Contains(help, p.Help) {
			t.Errorf("find has no --%s", p.Name)
		}
		delete(values, p.Name)
	}
	if len(values) > 0 {
		t.Errorf("no words of a search: %v", values)
	}
}

// TestExport writes what was found, and leaves out what is no longer stored.
func TestExport(t *testing.T) {
	data, folder := t.TempDir(), t.TempDir()
	bodies := []string{"From me\r\n>From you\r\nend\r\n", "no line end", "\r\nFrom\r\n>>From x"}
	key, stored := storedPack(t, data, 0, bodies...)
	var rows []*index.Message
	for n, m := range stored {
		rows = append(rows, row(key, m, time.Date(2026, 1, 2, 3, 4, n, 0, time.UTC), "x"))
	}
	rows[1].MailFrom = ""
	lost := row(key, stored[0], time.Date(2026, 1, 2, 3, 5, 0, 0, time.UTC), "x")
	lost.Blob.Key = "2026/01/02/03/lost.eml"
	indexed(t, data, append(rows, lost)...)

	got := run(nil, nil, "export", "--data", data, "--eml", folder)
	if got.code != exitFailure || !strings.Contains(got.err, lost.ID.String()+" is left out: no object") || !strings.Contains(got.err, "3 messages exported, 1 left out") {
		t.Errorf("%+v", got)
	}
	var whole []string
	for n, m := range rows {
		octets, err := os.ReadFile(filepath.Join(folder, m.ID.String()+".eml"))
		if err != nil || !strings.HasSuffix(string(octets), bodies[n]) {
			t.Fatalf("%q, %v", octets, err)
		}
		whole = append(whole, string(octets))
	}
	if got := run(nil, nil, "export", "--data", data, "--eml", folder, "--limit", "1", "--until", "2026-01-02T03:04:01Z"); got.code != exitFailure || !strings.Contains(got.err, "file exists") {
		t.Errorf("files that are there: %+v", got)
	}

	file := filepath.Join(folder, "found.mbox")
	if got := run(nil, nil, "export", "--data", data, "--mbox", file); got.code != exitFailure {
		t.Errorf("%+v", got)
	}
	octets, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	read := readMbox(t, string(octets))
	slices.Sort(read)
	var want []string
	for _, message := range whole {
		want = append(want, strings.TrimSuffix(message, "\n")+"\n")
	}
	slices.Sort(want)
	if !slices.Equal(read, want) {
		t.Errorf("got %q, want %q", read, want)
	}
	for _, line := range []string{"From anna@example.org Fri Jan  2 03:04:00 2026\n", "From MAILER-DAEMON Fri Jan  2 03:04:01 2026\n", "\n>From me\r\n>>From you\r\n", "\n>>>From x\n\n"} {
		if !strings.Contains(string(octets), line) {
			t.Errorf("%q is not in %q", line, octets)
		}
	}
	if got := run(nil, nil, "export", "--data", data, "--mbox", "-", "--until", "2026-01-02T03:04:01Z"); got.code != exitOK || !strings.HasPrefix(got.out, "From anna@") {
		t.Errorf("%+v", got)
	}
}

// readMbox returns the messages of a file in the format mboxrd, each with a line end.
func readMbox(t *testing.T, text string) (all []string) {
	t.Helper()
	for _, message := range strings.Split("\n"+strings.TrimSuffix(text, "\n\n"), "\n\nFrom ") {
		message = strings.TrimPrefix(message, "\nFrom ")
		_, message, _ = strings.Cut(message, "\n")
		var b strings.Builder
		for line := range strings.Lines(message) {
			if rest := strings.TrimLeft(line, ">"); rest != line && strings.HasPrefix(rest, "From ") {
				line = line[1:]
			}
			b.WriteString(line)
		}
		all = append(all, b.String()+"\n")
	}
	return all
}
