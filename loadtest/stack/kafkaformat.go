package stack

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// format prepares the data folder of a broker, once. Kafka's own tool takes two seconds
// for it. What it writes is the same for all but the three ids, so it is kept beside the
// installed servers.
func format(jvm []string, dir, properties string, node kafkaNode) error {
	data := filepath.Join(dir, "data")
	if _, err := os.Stat(filepath.Join(data, metaFile)); err == nil {
		return nil
	}
	var users []string
	for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
		users = append(users, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, kafkaUser, kafkaPassword))
	}
	cache, err := cacheDir()
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(strings.Join(users, " ")))
	kept := filepath.Join(cache, fmt.Sprintf("kafka-%s-formatted-%x", KafkaVersion, sum[:4]))
	checkpoint, err := os.ReadFile(kept)
	if err == nil {
		return writeFormat(data, checkpoint, node)
	}

	args := append(append([]string(nil), jvm[1:]...), "kafka.tools.StorageTool", "format",
		"--cluster-id", node.clusterID, "--config", properties)
	if out, err := exec.Command(jvm[0], append(args, users...)...).CombinedOutput(); err != nil {
		return fmt.Errorf("kafka: format: %w\n%s", err, out)
	}
	if checkpoint, err = os.ReadFile(filepath.Join(data, checkpointFile)); err != nil {
		return fmt.Errorf("kafka: format: %w", err)
	}
	return keepFormat(kept, checkpoint)
}

// The files of a formatted folder: its ids, and the first records of the cluster, among
// them the users.
const (
	metaFile       = "meta.properties"
	checkpointFile = "bootstrap.checkpoint"
)

// writeFormat formats a folder as the tool did.
func writeFormat(data string, checkpoint []byte, node kafkaNode) error {
	if err := os.MkdirAll(data, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(data, checkpointFile), checkpoint, 0o600); err != nil {
		return err
	}
	meta := fmt.Sprintf("version=1\ncluster.id=%s\nnode.id=%d\ndirectory.id=%s\n", node.clusterID, node.id, newKafkaID())
	return os.WriteFile(filepath.Join(data, metaFile), []byte(meta), 0o600)
}

// keepFormat writes a file that others may be reading or writing.
func keepFormat(path string, checkpoint []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := f.Write(checkpoint); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// newKafkaID returns a fresh id of a cluster or a folder.
func newKafkaID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	id[0] &= 0x7f           // else the id may begin with "-" and be read as an option
	return base64.RawURLEncoding.EncodeToString(id[:])
}
