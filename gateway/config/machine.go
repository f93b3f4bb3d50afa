package config

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Machine holds the properties of the host or container that defaults and checks depend
// on.
type Machine struct {
	Hostname string
	Files    int   // RLIMIT_NOFILE, the hard limit that RaiseFileLimit sets; 0 if unknown
	Memory   int64 // limit of the container, or memory of the machine, in bytes; 0 if unknown
}

// maxFiles caps RLIMIT_NOFILE if it is unlimited. It is the kernel's default for
// fs.nr_open.
const maxFiles = 1 << 20

// assumedMemory is used if neither the container nor the machine reports its memory.
const assumedMemory = 1 << 30

// ThisMachine returns the machine that the process runs on.
func ThisMachine() Machine {
	m := Machine{Hostname: "localhost", Files: fileLimit(), Memory: memoryLimit(os.DirFS("/"))}
	if name, err := os.Hostname(); err == nil && isDomain(strings.ToLower(name)) {
		m.Hostname = strings.ToLower(name)
	}
	return m
}

// connections returns the most connections that leave descriptors for everything else:
// files of store and log, connections to brokers, the duplicates that paused connections
// need, metrics, epoll. It is a hard bound, since a connection without a descriptor waits
// in the kernel's queue.
func (m Machine) connections() int {
	return max(1, m.Files-m.headroom())
}

// stalledSessions returns how many sessions may wait for clients that do not read. Only
// clients that pipeline thousands of commands can make one wait: a few are enough. Their
// buffers take a 64th of the memory at most.
func (m Machine) stalledSessions() int {
	const each = 1 << 19 // with default buffers
	return int(min(256, max(16, m.Memory/64/each)))
}

// LeastFiles is the least RLIMIT_NOFILE with which the gateway starts.
const LeastFiles = 256

// headroom returns the number of descriptors reserved for other uses than SMTP
// connections.
func (m Machine) headroom() int { return max(LeastFiles/2, min(1000, m.Files/4)) }

// AuxiliaryConnections returns the maximum number of connections of the admin server, and
// of the embedded broker. Together they have half of the headroom, so that they cannot
// take the descriptors that the rest needs.
func (m Machine) AuxiliaryConnections() int {
	if m.Files == 0 {
		return maxAuxiliary
	}
	return min(maxAuxiliary, m.headroom()/4)
}

// maxAuxiliary exceeds the number of scrapers, probes and consumers on one machine.
const maxAuxiliary = 64

func fileLimit() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 1024 // the lowest default of Linux distributions
	}
	return int(min(limit.Max, maxFiles))
}

// RaiseFileLimit raises the soft limit of open files to the hard limit. The Go runtime
// does so at start, but does not promise it.
func RaiseFileLimit() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if limit.Cur >= min(limit.Max, maxFiles) {
		return nil
	}
	limit.Cur = min(limit.Max, maxFiles)
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
}

// memoryLimit returns the least of the limits of this process's control group and its
// parents (cgroup v2 or v1) and of the machine's memory, in bytes. root is the root of
// the file system.
func memoryLimit(root fs.FS) int64 {
	limit := int64(assumedMemory)
	if total, ok := totalMemory(root); ok {
		limit = total
	}
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return limit
	}
	for line := range strings.Lines(string(groups)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		var mount, file string
		switch {
		case parts[0] == "0" && parts[1] == "": // version 2
			mount, file = "sys/fs/cgroup", "memory.max"
		case strings.Contains(","+parts[1]+",", ",memory,"): // version 1
			mount, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		limit = min(limit, groupLimit(root, mount, parts[2], file))
	}
	return limit
}

// groupLimit returns the least limit from a group up to the mount. Inside a container the
// group's path may be that of the host and not exist here; its limit is then at the mount
// itself.
func groupLimit(root fs.FS, mount, group, file string) int64 {
	limit := int64(1<<63 - 1)
	for dir := path.Clean("/" + group); ; dir = path.Dir(dir) {
		content, err := fs.ReadFile(root, path.Join(mount, dir, file))
		if err == nil {
			// "max" means no limit; version 1 writes a number near 2^63.
			if n, err := strconv.ParseInt(string(bytes.TrimSpace(content)), 10, 64); err == nil && n > 0 {
				limit = min(limit, n)
			}
		}
		if dir == "/" {
			return limit
		}
	}
}

// totalMemory returns MemTotal in bytes.
func totalMemory(root fs.FS) (int64, bool) {
	content, err := fs.ReadFile(root, "proc/meminfo")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(content)) {
		if rest, found := strings.CutPrefix(line, "MemTotal:"); found {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 53)
			return kib << 10, err == nil && kib > 0
		}
	}
	return 0, false
}
