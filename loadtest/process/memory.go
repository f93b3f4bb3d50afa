package process

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Resident is the resident memory of the process, VmRSS of proc(5), in bytes.
func (p *Process) Resident() (int64, error) {
	return memory(fmt.Sprintf("/proc/%d/status", p.PID()), "VmRSS:")
}

// Proportional is the resident memory of any process, in which a page that several
// processes share counts in parts, in bytes.
func Proportional(pid int) (int64, error) {
	return memory(fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Pss:")
}

// memory reads a line such as "VmRSS: 4096 kB".
func memory(file, name string) (int64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, name); found {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no %s in %s", name, file)
}

// Children are the processes that a process has started and that run, by number, with
// their names.
func Children(pid int) (map[int]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil, err
	}
	children := map[int]string{}
	for _, field := range strings.Fields(string(text)) {
		child, err := strconv.Atoi(field)
		if err != nil {
			return nil, err
		}
		if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", child)); err == nil { // it may have ended
			children[child] = strings.TrimSpace(string(name))
		}
	}
	return children, nil
}
