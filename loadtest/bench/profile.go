package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"sluice/loadtest/process"
)

// Share is a part of a process's samples: all that are its own, and those of them
// that the kernel spent. Both are fractions of the whole profile.
type Share struct {
	Of     string  `json:"of"`
	All    float64 `json:"all"`
	Kernel float64 `json:"kernel"`
}

// owners say to whom a sample belongs: to the first whose mark stands in any
// frame of its stack.
var owners = []struct {
	name  string
	marks []string
}{
	{"garbage collection", []string{"runtime.gcBgMarkWorker", "runtime.gcAssist", "runtime.bgsweep", "runtime.bgscavenge", "runtime.gcStart"}},
	{"database client of the index", []string{"jackc/pgx", "modernc.org/"}},
	{"MIME and charsets", []string{"sluice/index/content."}},
	{"terms of the index", []string{"sluice/index.SetTerms", "sluice/index.Clean"}},
	{"TLS handshakes", []string{"tlscodec.(*Conn).Handshake"}},
	{"TLS records", []string{"tlscodec.(*Conn).Open", "tlscodec.(*Conn).Seal"}},
	{"look-ups of SPF, DKIM and DMARC", []string{"verifier.(*evaluation).Find"}},
	{"RSA and Ed25519", []string{"crypto/rsa.Verify", "crypto/ed25519.Verify"}},
	{"bodies for DKIM", []string{"verifier.(*evaluation).ReadText"}},
	{"rest of verification", []string{"sluice/gateway/verifier.", "sluice/gateway/resolver."}},
	{"hashing (SHA-256, CRC32C)", []string{"crypto/sha256.", "crypto/internal/fips140/sha256.", "hash/crc32."}},
	{"packs (tar, events)", []string{"sluice/pipeline/pack.(*Pack)"}},
	{"HTTP client (minio-go, net/http)", []string{"minio-go", "net/http.", "sluice/pipeline/s3."}},
	{"Kafka client (franz-go)", []string{"franz-go", "sluice/pipeline/kafka."}},
	{"event loops (gnet, codec, session)", []string{"gnet/v2"}},
	{"scheduler", []string{"runtime.schedule", "runtime.findRunnable", "runtime.mcall", "runtime.mstart", "runtime.sysmon", "runtime.netpoll"}},
}

const (
	otherOwner   = "rest"
	samplesEach  = "499" // a second
	kernelMarker = "[kernel"
)

// profiler profiles a process.
type profiler struct {
	process  *process.Process
	scratch  string    // a folder
	progress io.Writer // hears why there is no profile
}

// profile is nil where there can be none.
func (p profiler) profile(ctx context.Context, work func() error) []Share {
	shares, err := profile(ctx, p.process, filepath.Join(p.scratch, "perf.data"), work)
	if err != nil {
		fmt.Fprintf(p.progress, "no profile: %v\n", err)
	}
	return shares
}

// profile samples a process with perf while work runs.
func profile(ctx context.Context, p *process.Process, file string, work func() error) ([]Share, error) {
	recorder := exec.CommandContext(ctx, "perf", "record", "-q", "-F", samplesEach, "-g", "-o", file, "-p", strconv.Itoa(p.PID()))
	var said bytes.Buffer
	recorder.Stderr = &said
	if err := recorder.Start(); err != nil {
		return nil, err
	}
	failed := work()
	_ = recorder.Process.Signal(os.Interrupt) // it may have ended: Wait says how
	err := recorder.Wait()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		return nil, err
	}
	if failed != nil {
		return nil, failed
	}
	text, err := exec.CommandContext(ctx, "perf", "script", "-i", file, "-F", "ip,sym,dso").Output()
	if err != nil {
		return nil, fmt.Errorf("perf script: %w\n%s", err, said.String())
	}
	return split(text)
}

// split counts the samples of perf script: a frame on each line, the innermost
// first, and an empty line behind each sample.
func split(text []byte) ([]Share, error) {
	all, kernel, total := map[string]int{}, map[string]int{}, 0
	var frames []string
	count := func() {
		if len(frames) == 0 {
			return
		}
		owner := ownerOf(frames)
		total++
		all[owner]++
		if strings.Contains(frames[0], kernelMarker) {
			kernel[owner]++
		}
		frames = frames[:0]
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if line := strings.TrimSpace(lines.Text()); line != "" {
			frames = append(frames, line)
			continue
		}
		count()
	}
	count()
	if total == 0 {
		return nil, errors.New("no samples")
	}
	var shares []Share
	for _, name := range ownerNames() {
		shares = append(shares, Share{name, float64(all[name]) / float64(total), float64(kernel[name]) / float64(total)})
	}
	return shares, lines.Err()
}

func ownerNames() []string {
	var names []string
	for _, o := range owners {
		names = append(names, o.name)
	}
	return append(names, otherOwner)
}

func ownerOf(frames []string) string {
	for _, o := range owners {
		for _, mark := range o.marks {
			for _, frame := range frames {
				if strings.Contains(frame, mark) {
					return o.name
				}
			}
		}
	}
	return otherOwner
}
