package reactor

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"sluice/gateway/session"
	"sluice/internal/testkit"
)

// TestSilentFlood opens connections that never send a PROXY header, and some that do: these
// are greeted, and of the flood the oldest are closed until it has its share.
func TestSilentFlood(t *testing.T) {
	s := &server{store: &heldStore{}, ended: make(chan error, 1)}
	o := driverOptions(s, testLimits())
	o.Timeouts.Proxy = time.Minute
	o.Admission.Connections, o.Admission.Unnamed = 100, 10
	s.serve(o, testLimits(), session.AcceptAny())
	s.sessions.Proxy, s.sessions.ProxyNetworks = true, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	s.run(t)
	var silent []net.Conn
	for range 10 {
		for range 9 {
			c, _ := s.dial(t)
			silent = append(silent, c)
		}
		c, r := s.dial(t)
		if _, err := io.WriteString(c, "PROXY TCP4 192.0.2.1 198.51.100.2 4711 25\r\nNOOP\r\n"); err != nil {
			t.Fatal(err)
		}
		expect(t, r, "220 ")
		expect(t, r, "250 ")
	}
	for _, c := range silent[:len(silent)/2] {
		if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Fatalf("%d bytes, %v", n, err)
		}
	}
	testkit.Eventually(t, "ten of each loop wait beside the clients", func() bool {
		return s.shared.SessionsOpen() == 10+20
	})
}
