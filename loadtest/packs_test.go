package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/loadtest/process"
	"sluice/pipeline"
)

// packsRead sends enough at once for packs and reads them by tools that know
// nothing of Sluice, and by Sluice's own commands.
func packsRead(t *testing.T, newGateway gatewayMaker) {
	needs(t, "smtp-source", "tar", "curl")
	gateway := newGateway(t)
	startGateway(t, gateway)
	command(t, "smtp-source", "-d", "-s", "100", "-m", "1000", "-l", "2000",
		"-f", "sender@example.org", "-t", "recipient@example.net", gateway.SMTP)
	messages, events := inventory(t, gateway)
	packed := map[string][]*pipeline.Event{}
	for _, e := range events {
		if e.Blob.Container == pipeline.ContainerTar {
			packed[e.Blob.Key] = append(packed[e.Blob.Key], e)
		}
	}
	if len(packed) == 0 {
		t.Fatalf("no packs of %d messages by 100 sessions", len(messages))
	}
	var key string
	for k, all := range packed {
		if key == "" || len(all) > len(packed[key]) {
			key = k
		}
	}
	t.Logf("%d messages, %d packs, %d in the largest", len(messages), len(packed), len(packed[key]))
	tarball := filepath.Join(t.TempDir(), "pack.tar")
	if gateway.Kind == process.Fleet {
		fetch(t, gateway, key, "-o", tarball)
	} else {
		tarball = filepath.Join(gateway.StoreDir(), filepath.FromSlash(key))
	}
	readByTar(t, tarball, packed[key], messages)
	readByPython(t, tarball, packed[key][0], messages)
	e := packed[key][0]
	if gateway.Kind == process.Fleet {
		octets := fetch(t, gateway, key, "-r", fmt.Sprintf("%d-%d", e.Blob.Offset, e.Blob.Offset+e.Blob.Length-1))
		if octets[e.Blob.Added:] != string(messages[e.ID.String()]) {
			t.Errorf("the range of %s has %d octets and is something else", e.ID, len(octets))
		}
		readByGo(t, gateway, e, messages)
	}
	readBySluice(t, gateway, e, packed[key], messages)
}

// fetch gets an object by curl, which signs requests for S3 itself.
func fetch(t *testing.T, gateway *process.Sluice, key string, args ...string) string {
	t.Helper()
	return command(t, "curl", append([]string{
		"-sS", "--fail", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", gateway.S3.AccessKey + ":" + gateway.S3.SecretKey,
		"http://" + gateway.S3.Endpoint + "/" + gateway.S3.Bucket + "/" + key,
	}, args...)...)
}

// readByTar lists and reads a pack with GNU tar.
func readByTar(t *testing.T, tarball string, events []*pipeline.Event, messages map[string][]byte) {
	t.Helper()
	list := strings.Split(strings.TrimSpace(command(t, "tar", "tvf", tarball)), "\n")
	if len(list) != len(events)+1 || !strings.HasSuffix(list[len(list)-1], " events.jsonl") {
		t.Fatalf("%d events, and tar lists\n%s", len(events), strings.Join(list, "\n"))
	}
	for _, e := range events[:min(20, len(events))] {
		octets := command(t, "tar", "xOf", tarball, e.ID.String()+".eml")
		if int64(len(octets)) != e.Blob.Length || octets[e.Blob.Added:] != string(messages[e.ID.String()]) {
			t.Errorf("tar gives %d octets of %s, which are something else", len(octets), e.ID)
		}
	}
	lines := strings.Split(strings.TrimSpace(command(t, "tar", "xOf", tarball, "events.jsonl")), "\n")
	listed := map[pipeline.ID]pipeline.Digest{}
	for _, line := range lines {
		e, err := pipeline.ParseEvent([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		listed[e.ID] = e.Message.SHA256
	}
	for _, e := range events {
		if listed[e.ID] != e.Message.SHA256 {
			t.Errorf("events.jsonl has %x of %s", listed[e.ID], e.ID)
		}
	}
}

// readBySluice reads a pack's message in each way that cat knows, and unpacks it.
func readBySluice(t *testing.T, gateway *process.Sluice, e *pipeline.Event, events []*pipeline.Event, messages map[string][]byte) {
	t.Helper()
	settings, err := gateway.Args() // the first is the command
	if err != nil {
		t.Fatal(err)
	}
	sluice := func(args ...string) string {
		t.Helper()
		return command(t, gateway.Binary, append(args, settings[1:]...)...)
	}
	for _, args := range [][]string{
		{"cat", e.ID.String()},
		{"cat", e.Blob.Key, fmt.Sprint("--offset=", e.Blob.Offset), fmt.Sprint("--length=", e.Blob.Length)},
	} {
		if got := sluice(args...); int64(len(got)) != e.Blob.Length || got[e.Blob.Added:] != string(messages[e.ID.String()]) {
			t.Errorf("%q prints %d octets that are something else", args, len(got))
		}
	}
	folder := t.TempDir()
	sluice("unpack", e.Blob.Key, "-C", folder)
	files, err := os.ReadDir(folder)
	if err != nil || len(files) != len(events)+1 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, e := range events {
		octets, err := os.ReadFile(filepath.Join(folder, e.ID.String()+".eml"))
		if err != nil {
			t.Error(err)
			continue
		}
		digest := sha256.Sum256(octets[e.Blob.Added:])
		if digest != e.Message.SHA256 || !bytes.Equal(octets[e.Blob.Added:], messages[e.ID.String()]) {
			t.Errorf("%s was unpacked as something else", e.ID)
		}
	}
}

func TestPacks(t *testing.T) {
	t.Parallel()
	packsRead(t, newGateway)
}
