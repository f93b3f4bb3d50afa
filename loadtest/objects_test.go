package main

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"sluice/loadtest/child"
)

// readObject reads a whole object by means that are not Sluice's.
func readObject(t *testing.T, gateway *child.Sluice, key string) []byte {
	t.Helper()
	if gateway.Kind != child.Fleet {
		whole, err := os.ReadFile(filepath.Join(gateway.StoreDir(), filepath.FromSlash(key)))
		if err != nil {
			t.Fatalf("the object %s: %v", key, err)
		}
		return whole
	}
	object, err := bucket(t, gateway).GetObject(t.Context(), gateway.S3.Bucket, key, minio.GetObjectOptions{})
	if err != nil {
		t.Fatalf("the object %s: %v", key, err)
	}
	defer object.Close()
	whole, err := io.ReadAll(object)
	if err != nil {
		t.Fatalf("the object %s: %v", key, err)
	}
	return whole
}

// countObjects counts the messages in the store; what is no message, or pending,
// is an error.
func countObjects(t *testing.T, gateway *child.Sluice) int {
	t.Helper()
	objects := 0
	if gateway.Kind != child.Fleet {
		err := filepath.WalkDir(gateway.StoreDir(), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && strings.HasSuffix(path, ".eml") {
				objects++
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return objects
	}
	client := bucket(t, gateway)
	for info := range client.ListObjects(t.Context(), gateway.S3.Bucket, minio.ListObjectsOptions{Recursive: true}) {
		if info.Err != nil || !strings.HasSuffix(info.Key, ".eml") {
			t.Fatalf("object %q: %v", info.Key, info.Err)
		}
		objects++
	}
	for pending := range client.ListIncompleteUploads(t.Context(), gateway.S3.Bucket, "", true) {
		t.Errorf("a pending upload of %q: %v", pending.Key, pending.Err)
	}
	return objects
}

func bucket(t *testing.T, gateway *child.Sluice) *minio.Client {
	t.Helper()
	client, err := minio.New(gateway.S3.Endpoint, &minio.Options{
		Creds: credentials.NewStaticV4(gateway.S3.AccessKey, gateway.S3.SecretKey, ""),
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}
