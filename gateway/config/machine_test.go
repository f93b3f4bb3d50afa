package config

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestMemoryLimit(t *testing.T) {
	const meminfo = "MemTotal:        8388608 kB\nMemFree:  1 kB\n"
	for _, c := range []struct {
		name  string
		files map[string]string
		want  Size
	}{
		{"nothing is known", nil, GiB},
		{"machine", map[string]string{"proc/meminfo": meminfo}, 8 * GiB},
		{"v2, in the container's own namespace", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "536870912\n"}, 512 * MiB},
		{"v2, no limit", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n"}, 8 * GiB},
		{"v2, the parent's limit is less", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/memory.max": "1073741824\n", "sys/fs/cgroup/a/b/memory.max": "2147483648\n"}, GiB},
		{"v2, the group is the host's", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/host/pod/x\n", "sys/fs/cgroup/memory.max": "1073741824\n"}, GiB},
		{"v1", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/docker/x\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "268435456\n"}, 256 * MiB},
		{"v1, no limit", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "4:memory:/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 8 * GiB},
		{"more than the machine has", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "99999999999999\n"}, 8 * GiB},
		{"nonsense", map[string]string{
			"proc/meminfo": "MemTotal: x kB\n", "proc/self/cgroup": "::::\nx\n0::/\n", "sys/fs/cgroup/memory.max": "-5\n"}, GiB},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := make(fstest.MapFS)
			for name, content := range c.files {
				root[name] = &fstest.MapFile{Data: []byte(content)}
			}
			if got := memoryLimit(root); got != int64(c.want) {
				t.Errorf("got %s, want %s", Size(got), c.want)
			}
		})
	}
}

func TestThisMachine(t *testing.T) {
	m := ThisMachine()
	if !isDomain(m.Hostname) || m.Files < 64 || m.Memory < int64(16*MiB) {
		t.Errorf("%+v", m)
	}
	if err := RaiseFileLimit(); err != nil {
		t.Error(err)
	}
}

func TestMachineBoundsConnections(t *testing.T) {
	for _, c := range []struct{ files, most, byDefault int }{
		{20000, 19000, 19000}, {1 << 20, 1<<20 - 1000, 19000}, {4096, 3096, 3096}, {1024, 768, 768}, {256, 128, 128}, {100, 1, 1},
	} {
		m := testMachine
		m.Files = c.files
		cfg := DefaultOn(m)
		if cfg.Limits.Connections != c.byDefault {
			t.Errorf("%d files: default %d, want %d", c.files, cfg.Limits.Connections, c.byDefault)
		}
		cfg.Limits.Connections = c.most + 1
		if err := cfg.Validate(ForServe); err == nil {
			t.Errorf("%d files: %d connections were accepted", c.files, c.most+1)
		}
	}
}

// TestTooFewFiles checks that a process with hardly any descriptors gets an error with
// the limit and the least that works.
func TestTooFewFiles(t *testing.T) {
	m := testMachine
	m.Files = 80
	_, err := loadOn(m, Sources{})
	for _, want := range []string{"RLIMIT_NOFILE", "got 80", "at least 256", "ulimit"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	m.Files = LeastFiles
	if _, err := loadOn(m, Sources{}); err != nil {
		t.Errorf("with %d files: %v", LeastFiles, err)
	}
}
