package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"sluice/loadtest/process"
	"sluice/pipeline"
)

// documented gives the code that docs/storage.md has in a language.
func documented(t *testing.T, language string) string {
	t.Helper()
	document, err := os.ReadFile("../docs/storage.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(document), "```"+language+"\n")
	code, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatalf("no %s in docs/storage.md", language)
	}
	return code
}

// pythonStore stands in for boto3's client: a range of a file.
const pythonStore = `
import io, re, sys

class Store:
    def get_object(self, Bucket, Key, Range):
        first, last = map(int, re.fullmatch(r"bytes=(\d+)-(\d+)", Range).groups())
        with open(Key, "rb") as f:
            f.seek(first)
            return {"Body": io.BytesIO(f.read(last - first + 1))}

listed = events(sys.argv[1])
[event] = [e for e in listed if e["id"] == sys.argv[2]]
event["blob"].setdefault("bucket", "")
event["blob"]["key"] = sys.argv[1]
sys.stdout.buffer.write(message(Store(), event))
`

// readByPython runs the Python of docs/storage.md.
func readByPython(t *testing.T, tarball string, e *pipeline.Event, messages map[string][]byte) {
	t.Helper()
	needs(t, "python3")
	octets := command(t, "python3", "-c", documented(t, "python")+pythonStore, tarball, e.ID.String())
	if int64(len(octets)) != e.Blob.Length || octets[e.Blob.Added:] != string(messages[e.ID.String()]) {
		t.Errorf("Python reads %d octets of %s, which are something else", len(octets), e.ID)
	}
}

// goProgram is around the Go of docs/storage.md. Its arguments are the store's
// endpoint and keys, and the place of a message.
const goProgram = `package main

import (
	"context"
	"io"
	"os"
	"strconv"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

type place struct {
	Bucket, Key    string
	Offset, Length int64
}

func read(ctx context.Context, client *minio.Client, blob place) error {
DOCUMENTED
	if err != nil {
		return err
	}
	_, err = io.Copy(os.Stdout, object)
	return err
}

func main() {
	arg := os.Args[1:]
	client, err := minio.New(arg[0], &minio.Options{Creds: credentials.NewStaticV4(arg[1], arg[2], "")})
	if err != nil {
		panic(err)
	}
	blob := place{Bucket: arg[3], Key: arg[4]}
	blob.Offset, _ = strconv.ParseInt(arg[5], 10, 64)
	blob.Length, _ = strconv.ParseInt(arg[6], 10, 64)
	if err := read(context.Background(), client, blob); err != nil {
		panic(err)
	}
}
`

// readByGo runs the Go of docs/storage.md.
func readByGo(t *testing.T, gateway *process.Sluice, e *pipeline.Event, messages map[string][]byte) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "main.go")
	code := strings.Replace(goProgram, "DOCUMENTED", documented(t, "go"), 1)
	if err := os.WriteFile(program, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	octets := command(t, "go", "run", program, gateway.S3.Endpoint, gateway.S3.AccessKey, gateway.S3.SecretKey,
		gateway.S3.Bucket, e.Blob.Key, strconv.FormatInt(e.Blob.Offset, 10), strconv.FormatInt(e.Blob.Length, 10))
	if int64(len(octets)) != e.Blob.Length || octets[e.Blob.Added:] != string(messages[e.ID.String()]) {
		t.Errorf("Go reads %d octets of %s, which are something else", len(octets), e.ID)
	}
}
