package stress

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// peer is a client that may do as it likes: a connection, and nothing around it.
type peer struct {
	net.Conn
	in   *bufio.Reader // made when something is read
	text bool          // a reply was 354
}

// dialed spreads connections over addresses of loopback, each of which has
// only 28,000 ports.
var dialed atomic.Uint32

// patience bounds each wait of a peer that is no part of what is measured.
const patience = time.Minute

// dial connects. receive is the size of the peer's receive buffer in bytes, 0 for
// the kernel's choice.
func dial(ctx context.Context, address string, receive int) (*peer, error) {
	return dialFrom(ctx, address, net.IPv4(127, 0, 1, byte(1+dialed.Add(1)%250)), receive)
}

// dialFrom is dial from an address of loopback.
func dialFrom(ctx context.Context, address string, from net.IP, receive int) (*peer, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	dialer := net.Dialer{
		LocalAddr: &net.TCPAddr{IP: from},
		KeepAlive: -1,
	}
	if receive > 0 {
		dialer.Control = func(_, _ string, raw syscall.RawConn) error {
			var failed error
			err := raw.Control(func(fd uintptr) {
				failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, receive)
			})
			if err != nil {
				return err
			}
			return failed
		}
	}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &peer{Conn: conn}, nil
}

// line reads one line without its end, within a time.
func (p *peer) line(within time.Duration) (string, error) {
	if p.in == nil {
		p.in = bufio.NewReaderSize(p.Conn, 512)
	}
	if err := p.SetReadDeadline(time.Now().Add(within)); err != nil {
		return "", err
	}
	line, err := p.in.ReadString('\n')
	return strings.TrimSuffix(line, "\r\n"), err
}

// reply reads one reply and returns its last line.
func (p *peer) reply(within time.Duration) (string, error) {
	for {
		line, err := p.line(within)
		if err != nil {
			return "", err
		}
		if len(line) < 4 || line[3] != '-' {
			p.text = p.text || strings.HasPrefix(line, "354")
			return line, nil
		}
	}
}

// say sends bytes.
func (p *peer) say(text string) error {
	if err := p.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := p.Write([]byte(text))
	return err
}

// ask sends bytes and wants a reply with a code.
func (p *peer) ask(text, code string) error {
	if text != "" {
		if err := p.say(text); err != nil {
			return err
		}
	}
	reply, err := p.reply(patience)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(reply, code) {
		return fmt.Errorf("%q was answered %q, not %s", text, reply, code)
	}
	return nil
}

// greet reads the greeting and says EHLO.
func (p *peer) greet() error {
	if err := p.ask("", "220"); err != nil {
		return err
	}
	return p.ask("EHLO client.example.org\r\n", "250")
}

// reset ends the connection by RST.
func (p *peer) reset() {
	if tcp, ok := p.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // it ends, one way or the other
	}
	_ = p.Close()
}

// crowd is many peers that are made and ended together.
type crowd struct {
	mu    sync.Mutex
	peers []*peer
}

// gather makes peers, a bounded number at a time, and does something with each;
// what fails is counted out by its error.
func (c *crowd) gather(ctx context.Context, count int, make func(int) (*peer, error)) error {
	const atOnce = 64
	var all sync.WaitGroup
	var next atomic.Int64
	failures := newTally()
	for range min(atOnce, count) {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(count) && ctx.Err() == nil; i = next.Add(1) - 1 {
				p, err := make(int(i))
				if err != nil {
					failures.add(err.Error())
					continue
				}
				c.mu.Lock()
				c.peers = append(c.peers, p)
				c.mu.Unlock()
			}
		})
	}
	all.Wait()
	if failures.total() > 0 {
		return fmt.Errorf("%d of %d peers: %s", failures.total(), count, failures)
	}
	return ctx.Err()
}

func (c *crowd) leave() {
	for _, p := range c.peers {
		_ = p.Close()
	}
	c.peers = nil
}

// tally counts texts.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
}

func newTally() *tally { return &tally{counts: map[string]int{}} }

func (t *tally) add(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[text]++
}

func (t *tally) of(text string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts[text]
}

func (t *tally) total() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	sum := 0
	for _, n := range t.counts {
		sum += n
	}
	return sum
}

func (t *tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := fmt.Sprint(t.counts)
	return text[:min(len(text), 600)]
}
