package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"sluice/loadtest/process"
	"sluice/pipeline"
)

// readObject reads what an event points at by means that are not Sluice's; fewer
// bytes come when the object ends before.
func readObject(t *testing.T, gateway *process.Sluice, e *pipeline.Event) []byte {
	t.Helper()
	object := openObject(t, gateway, e.Blob.Key)
	defer object.Close()
	if e.Blob.Container == "" {
		whole, err := io.ReadAll(object) // a byte more than announced would show
		if err != nil {
			t.Fatalf("the object %s: %v", e.Blob.Key, err)
		}
		return whole
	}
	octets := make([]byte, e.Blob.Length)
	if _, err := object.ReadAt(octets, e.Blob.Offset); err != nil && !errors.Is(err, io.EOF) {
		t.Fatalf("%d octets at %d of %s: %v", e.Blob.Length, e.Blob.Offset, e.Blob.Key, err)
	}
	return octets
}

// readable is an object.
type readable interface {
	io.ReadCloser
	io.ReaderAt
}

func openObject(t *testing.T, gateway *process.Sluice, key string) readable {
	t.Helper()
	var object readable
	var err error
	if gateway.Kind != process.Fleet {
		object, err = os.Open(filepath.Join(gateway.StoreDir(), filepath.FromSlash(key)))
	} else {
		object, err = bucket(t, gateway).GetObject(t.Context(), gateway.S3.Bucket, key, minio.GetObjectOptions{})
	}
	if err != nil {
		t.Fatalf("the object %s: %v", key, err)
	}
	return object
}

// keysOf lists the store; what is pending is an error.
func keysOf(t *testing.T, gateway *process.Sluice) []string {
	t.Helper()
	var keys []string
	if gateway.Kind != process.Fleet {
		root := gateway.StoreDir()
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && filepath.Base(filepath.Dir(path)) != "tmp" {
				key, _ := filepath.Rel(root, path)
				keys = append(keys, filepath.ToSlash(key))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	client := bucket(t, gateway)
	for info := range client.ListObjects(t.Context(), gateway.S3.Bucket, minio.ListObjectsOptions{Recursive: true}) {
		if info.Err != nil {
			t.Fatal(info.Err)
		}
		keys = append(keys, info.Key)
	}
	for pending := range client.ListIncompleteUploads(t.Context(), gateway.S3.Bucket, "", true) {
		t.Errorf("a pending upload of %q: %v", pending.Key, pending.Err)
	}
	return keys
}

// countMessages counts the messages in the store, those in packs too; what is no
// message is an error.
func countMessages(t *testing.T, gateway *process.Sluice) int {
	t.Helper()
	messages := 0
	for _, key := range keysOf(t, gateway) {
		switch filepath.Ext(key) {
		case ".eml":
			messages++
		case ".tar":
			messages += countEntries(t, gateway, key)
		default:
			t.Fatalf("object %q", key)
		}
	}
	return messages
}

// countEntries counts the messages of a pack, which has as many events as its last
// entry.
func countEntries(t *testing.T, gateway *process.Sluice, key string) (messages int) {
	t.Helper()
	object := openObject(t, gateway, key)
	defer object.Close()
	entries := tar.NewReader(object)
	for {
		header, err := entries.Next()
		if err != nil {
			t.Fatalf("%s: %v, without events", key, err)
		}
		if strings.HasSuffix(header.Name, ".eml") {
			messages++
			continue
		}
		list, err := io.ReadAll(entries)
		if header.Name != "events.jsonl" || err != nil || bytes.Count(list, []byte("\n")) != messages {
			t.Fatalf("%s: entry %s behind %d messages: %v", key, header.Name, messages, err)
		}
		if _, err := entries.Next(); err != io.EOF {
			t.Fatalf("%s: something behind the events: %v", key, err)
		}
		return messages
	}
}

// clients are those of the stores that tests read, by endpoint: with one for each
// object, each would have connections of its own.
var clients sync.Map

func bucket(t *testing.T, gateway *process.Sluice) *minio.Client {
	t.Helper()
	if client, made := clients.Load(gateway.S3.Endpoint); made {
		return client.(*minio.Client)
	}
	client, err := minio.New(gateway.S3.Endpoint, &minio.Options{
		Creds: credentials.NewStaticV4(gateway.S3.AccessKey, gateway.S3.SecretKey, ""), Region: "us-east-1",
	})
	if err != nil {
		t.Fatal(err)
	}
	clients.Store(gateway.S3.Endpoint, client)
	return client
}
