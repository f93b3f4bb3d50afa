package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/pipeline"
	"sluice/pipeline/pack"
	"sluice/pipeline/porttest"
)

// answered takes the results of messages that nobody waits for.
type answered struct{}

func (answered) Post(*pipeline.Task) {}

// storedPack writes a pack with these messages, begun that much later than now, in a data
// directory. It returns the key and the messages of the pack.
func storedPack(t *testing.T, data string, later time.Duration, bodies ...string) (string, []*pipeline.Message) {
	t.Helper()
	p := pack.New()
	var all []*pipeline.Message
	for _, body := range bodies {
		m := porttest.NewMessage([]byte(body))
		m.Loop = answered{}
		p.Add(m)
		all = append(all, m)
	}
	p.Compose(pipeline.NewID(time.Now().Add(later), rand.New(rand.NewPCG(rand.Uint64(), 2))), pipeline.Blob{Store: "dir", Bucket: "objects"})
	putObject(t, data, p.Key(), bytes.Join(p.Pieces(), nil))
	key := p.Key()
	p.Stored()
	return key, all
}

func putObject(t *testing.T, data, key string, octets []byte) {
	t.Helper()
	path := filepath.Join(data, "objects", filepath.FromSlash(key))
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, octets, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCat(t *testing.T) {
	data := t.TempDir()
	_, others := storedPack(t, data, 0, "other\r\n")
	key, packed := storedPack(t, data, time.Hour, "one\r\n", "two\r\n") // slow senders
	m := porttest.NewMessage([]byte("alone\r\n"))
	putObject(t, data, m.Key(), append(append([]byte{}, m.Header...), "alone\r\n"...))
	broken, _ := storedPack(t, t.TempDir(), time.Minute, "broken\r\n")
	putObject(t, data, broken, []byte("this is no tar"))
	nobody := porttest.NewMessage(nil)
	place := func(m *pipeline.Message) string {
		return key + " --offset " + number(m.Result.Blob.Offset) + " --length " + number(m.Result.Blob.Length)
	}
	for _, test := range []struct {
		name, args string
		out        string // the end of the output
		err        string
	}{
		{"alone, by key", m.Key(), "alone\r\n", ""},
		{"alone, by id", m.ID.String(), "alone\r\n", ""},
		{"the end of an object", m.Key() + " --offset " + number(int64(len(m.Header))), "alone\r\n", ""},
		{"packed, by place", place(packed[0]), "one\r\n", ""},
		{"packed, by place, the last", place(packed[1]), "two\r\n", ""},
		{"no object", "2026/01/02/03/x.eml", "", "no object 2026/01/02/03/x.eml"},
		{"leads outside", "../secret", "", "not a key"},
		{"too short", m.Key() + " --length 99999", "alone\r\n", "ends"},
		{"negative offset", m.Key() + " --offset=-1", "", "counted from 0"},
		{"unreadable pack on the way", nobody.ID.String(), "", "pack:"},
	} {
		t.Run(test.name, func(t *testing.T) { catIs(t, data, test.args, test.out, test.err) })
	}
	if err := os.Remove(filepath.Join(data, "objects", filepath.FromSlash(broken))); err != nil {
		t.Fatal(err)
	}
	catIs(t, data, packed[1].ID.String(), "two\r\n", "")
	catIs(t, data, others[0].ID.String(), "other\r\n", "")
	catIs(t, data, nobody.ID.String(), "", "no message "+nobody.ID.String())
	got := run([]string{"SLUICE_UNSAFE_DISCARD=true", "SLUICE_STORE_KIND=discard"}, nil, "cat", m.Key())
	if got.code != exitFailure || !strings.Contains(got.err, "keeps nothing") {
		t.Errorf("%+v", got)
	}
}

// TestCatAsksTheIndex finds a message where its index says that it is, however long ago it
// came, and without a row where it may be.
func TestCatAsksTheIndex(t *testing.T) {
	data := t.TempDir()
	key, packed := storedPack(t, data, 0, "one\r\n", "two\r\n")
	r := row(key, packed[1], time.Now().Add(-90*24*time.Hour), "x")
	indexed(t, data, r)
	catIs(t, data, r.ID.String(), "two\r\n", "")
	catIs(t, data, packed[0].ID.String(), "one\r\n", "")
	if err := os.WriteFile(filepath.Join(data, "index", "index.db"), []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := run(nil, nil, "cat", "--data", data, packed[0].ID.String())
	if got.code != exitOK || !strings.HasSuffix(got.out, "one\r\n") || !strings.Contains(got.err, "is looked for in the store: index (index.sqlite.path") {
		t.Errorf("%+v", got)
	}
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

func catIs(t *testing.T, data, args, out, failure string) {
	t.Helper()
	got := run(nil, nil, append([]string{"cat", "--data", data}, strings.Fields(args)...)...)
	code := exitOK
	if failure != "" {
		code = exitFailure
	}
	if got.code != code || !strings.HasSuffix(got.out, out) || (out == "") != (got.out == "") || !strings.Contains(got.err, failure) {
		t.Errorf("%s: %+v, want %d, %q, %q", args, got, code, out, failure)
	}
}

func TestUnpack(t *testing.T) {
	data, folder := t.TempDir(), t.TempDir()
	key, packed := storedPack(t, data, 0, "one\r\n", "two\r\n")
	got := run(nil, nil, "unpack", "--data", data, key, "-C", folder)
	if got.code != exitOK || got.out != "3 files in "+folder+"\n" {
		t.Errorf("%+v", got)
	}
	for i, end := range []string{"one\r\n", "two\r\n"} {
		octets, err := os.ReadFile(filepath.Join(folder, packed[i].ID.String()+".eml"))
		if err != nil || !strings.HasSuffix(string(octets), end) || int64(len(octets)) != packed[i].Result.Blob.Length {
			t.Errorf("%q, %v", octets, err)
		}
	}
	var want []byte
	for _, m := range packed {
		want = append(pipeline.AppendEvent(want, m), '\n')
	}
	if events, err := os.ReadFile(filepath.Join(folder, pack.EventsName)); err != nil || !bytes.Equal(events, want) {
		t.Errorf("events %s, %v, want %s", events, err, want)
	}
	for name, test := range map[string]struct{ args, err string }{
		"files that are there":  {key + " -C " + folder, "file exists"},
		"folder that is not":    {key + " -C " + filepath.Join(folder, "x"), "no such file"},
		"object that is not":    {strings.Replace(key, "0", "1", 1) + " -C " + folder, "no object"},
		"a message":             {packed[0].Key() + " -C " + folder, "is no pack"},
		"a key outside":         {"../x.tar -C " + folder, "not a key"},
		"an entry from outside": {hostilePack(t, data) + " -C " + t.TempDir(), "is no message"},
	} {
		got := run(nil, nil, append([]string{"unpack", "--data", data}, strings.Fields(test.args)...)...)
		if got.code != exitFailure || !strings.Contains(got.err, test.err) {
			t.Errorf("%s: %+v, want %q", name, got, test.err)
		}
	}
}

// hostilePack stores a tar with an entry that leads out of the directory.
func hostilePack(t *testing.T, data string) string {
	t.Helper()
	key, _ := storedPack(t, data, 0, "x\r\n")
	path := filepath.Join(data, "objects", filepath.FromSlash(key))
	octets, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copy(octets, "../")
	const sumAt = 148 // eight bytes, which count as spaces (POSIX.1-2017, ustar)
	copy(octets[sumAt:], "        ")
	sum := 0
	for _, o := range octets[:512] {
		sum += int(o)
	}
	copy(octets[sumAt:], fmt.Sprintf("%06o\x00 ", sum))
	if err := os.WriteFile(path, octets, 0o600); err != nil {
		t.Fatal(err)
	}
	return key
}
