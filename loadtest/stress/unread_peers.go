package stress

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"sluice/loadtest/process"
)

// UnreadPeers are more peers that never read than there may be stalled sessions, beside
// honest ones.
type UnreadPeers struct {
	Peers, Most int           // peers, and how many of them may stay
	Honest      int           // sessions that read
	Heap        int64         // bytes that the heap may grow for however few peers
	Patience    time.Duration // for the peers that are too many to be ended
}

// Name of the scenario.
func (u UnreadPeers) Name() string {
	return fmt.Sprintf("%d peers that pipeline and never read, of which %d may stay, beside %d honest sessions", u.Peers, u.Most, u.Honest)
}

const (
	// unreadSend and unreadReceive are the socket buffers, in KiB.
	unreadSend, unreadReceive = 32, 128
	// unreadKernel is what the kernel may take for each stalled session, in KiB: twice
	// the buffers, and a segment more than fits.
	unreadKernel = 2*(unreadSend+unreadReceive) + 64
	// unreadHeap is promised for each stalled session, in KiB: replies, carried input.
	unreadHeap = 64
	// unreadEvery is the pace of an honest session.
	unreadEvery = 100 * time.Millisecond
)

const metricStalledOut = `sluice_sessions_closed_total{end="stalled_sessions"}`

// Run lets the peers write until they are ended or nothing goes any more, and looks at
// the memory then.
func (u UnreadPeers) Run(ctx context.Context, env *Env) (*Row, error) {
	inst, err := env.open(ctx, "unread-peers", process.Discard, fmt.Sprintf(
		"limits: {junk_commands: 32767, stalled_sessions: %d}\nsocket: {send_buffer: %dKiB, receive_buffer: %dKiB}\n"+
			"timeouts: {stall: 10m}\nlog: {level: error}\n", u.Most, unreadSend, unreadReceive))
	if err != nil {
		return nil, err
	}
	defer inst.close()
	before, err := inst.settle(ctx)
	if err != nil {
		return nil, err
	}
	attack, over := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer over()
	honest, ends := newTally(), newTally()
	for range u.Honest {
		all.Go(func() { honest.add(u.honest(attack, inst)) })
	}
	for range u.Peers {
		all.Go(func() {
			how, _ := SlowReaders{Stall: time.Hour}.neverRead(attack, inst, turns[0].commands)
			ends.add(how)
		})
	}
	out := u.Peers - u.Most
	after, err := inst.await(ctx, u.Patience, func(now sample) bool { return int(now.metrics[metricStalledOut]) >= out })
	if err != nil {
		return nil, err
	}
	kernel, err := inst.kernelMemory(ctx)
	over()
	all.Wait()
	row := &Row{Scenario: u.Name()}
	row.all("each that is too many is ended", int(after.metrics[metricStalledOut]), out)
	row.all("honest sessions go on", honest.of(wentOn), u.Honest)
	row.atMost("MiB resident growth", inMiB(after.resident-before.resident), inMiB(u.Heap)+float64(u.Most)*unreadHeap/1024)
	switch {
	case errors.Is(err, exec.ErrNotFound):
		row.note("the kernel's memory is not known: %v", err)
	case err != nil:
		return nil, err
	default:
		row.atMost("MiB of the kernel for their sockets", inMiB(kernel), float64(u.Most)*unreadKernel/1024)
	}
	if honest.total() > honest.of(wentOn) {
		row.note("honest sessions: %s", honest)
	}
	return row, nil
}

const wentOn = "went on"

// honest sends transactions until the attack is over, and returns how it went.
func (u UnreadPeers) honest(ctx context.Context, inst *instance) string {
	p, err := dial(ctx, inst.SMTP, 0)
	if err != nil {
		return err.Error()
	}
	defer p.Close()
	if err := p.greet(); err != nil {
		return err.Error()
	}
	pace := time.NewTicker(unreadEvery)
	defer pace.Stop()
	for ctx.Err() == nil {
		for _, command := range []string{"MAIL FROM:<sender@example.org>\r\n", "RCPT TO:<recipient@example.net>\r\n", "RSET\r\n"} {
			if err := p.ask(command, "250"); err != nil {
				return err.Error()
			}
		}
		<-pace.C
	}
	return wentOn
}

// memoryOfSocket finds rmem and wmem in what ss prints.
var memoryOfSocket = regexp.MustCompile(`skmem:\(r(\d+),.*?,w(\d+),`)

// kernelMemory returns the bytes that the kernel holds in the buffers of the gateway's
// sockets, as ss(8) tells them.
func (s *instance) kernelMemory(ctx context.Context) (sum int64, err error) {
	port := s.SMTP[strings.LastIndexByte(s.SMTP, ':'):]
	text, err := exec.CommandContext(ctx, "ss", "-tmnH", "sport", "=", port).Output()
	if errors.Is(err, fs.ErrNotExist) {
		return 0, exec.ErrNotFound
	}
	if err != nil {
		return 0, err
	}
	for _, found := range memoryOfSocket.FindAllSubmatch(text, -1) {
		for _, digits := range found[1:] {
			n, err := strconv.ParseInt(string(digits), 10, 64)
			if err != nil {
				return 0, err
			}
			sum += n
		}
	}
	return sum, nil
}
