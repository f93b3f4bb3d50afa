package reactor

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice/gateway/driver"
	"sluice/gateway/session"
	"sluice/internal/testkit"
)

// greeted reports whether a server at the address sends a greeting.
func greeted(t *testing.T, host, port string) bool {
	t.Helper()
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(host, port), 10*time.Second)
	if errors.Is(err, unix.ECONNREFUSED) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	expect(t, bufio.NewReader(conn), "220")
	return true
}

// TestWhoCanConnect checks that 0.0.0.0 accepts IPv4, [::] IPv6, an empty host both, and
// so does listing both addresses, whether the port is given or chosen by the kernel.
func TestWhoCanConnect(t *testing.T) {
	const v4, v6 = "127.0.0.1", "::1"
	for _, c := range []struct {
		hosts    []string
		want     map[string]bool
		families []Family
	}{
		{[]string{"0.0.0.0"}, map[string]bool{v4: true, v6: false}, []Family{IPv4}},
		{[]string{"[::]"}, map[string]bool{v4: false, v6: true}, []Family{IPv6}},
		{[]string{""}, map[string]bool{v4: true, v6: true}, []Family{IPv4And6}},
		{[]string{"0.0.0.0", "[::]"}, map[string]bool{v4: true, v6: true}, []Family{IPv4, IPv6}},
		{[]string{"[::]", "0.0.0.0"}, map[string]bool{v4: true, v6: true}, []Family{IPv6, IPv4}},
		{[]string{"127.0.0.1", "[::1]"}, map[string]bool{v4: true, v6: true}, []Family{IPv4, IPv6}},
		{[]string{"localhost"}, map[string]bool{v4: true, v6: false}, []Family{IPv4}},
		{[]string{"127.0.0.1"}, map[string]bool{v4: true, v6: false}, []Family{IPv4}},
		{[]string{"[::1]"}, map[string]bool{v4: false, v6: true}, []Family{IPv6}},
	} {
		for _, open := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s port open %v", strings.Join(c.hosts, " and "), open), func(t *testing.T) {
				port := "0"
				if !open {
					port = testkit.FreePort(t)
				}
				s := newServer(testLimits(), session.AcceptAny())
				var addresses []string
				for _, host := range c.hosts {
					addresses = append(addresses, host+":"+port)
				}
				s.listenOn(addresses...)
				s.run(t)
				reached := map[string]bool{}
				for i, bound := range s.reactor.Bound() {
					host, port, err := net.SplitHostPort(bound.Address)
					if err != nil || host != strings.Trim(c.hosts[i], "[]") || port == "0" {
						t.Fatalf("bound to %q, %v", bound.Address, err)
					}
					if bound.Family != c.families[i] {
						t.Errorf("%s accepts %s, want %s", bound.Address, bound.Family, c.families[i])
					}
					for client := range c.want {
						reached[client] = greeted(t, client, port) || reached[client]
					}
				}
				for client, want := range c.want {
					if reached[client] != want {
						t.Errorf("a client from %s is greeted: %v, want %v", client, reached[client], want)
					}
				}
			})
		}
	}
}

// TestClientOfBothFamilies checks that an IPv4 client of a listener for both families is
// reported with its IPv4 address.
func TestClientOfBothFamilies(t *testing.T) {
	s := newServer(testLimits(), session.AcceptAny())
	s.listenOn(":0")
	s.run(t)
	_, port, _ := net.SplitHostPort(s.address)
	conn, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	expect(t, r, "220")
	_, _ = io.WriteString(conn, "HELO c.example.org\r\n"+transaction+"text\r\n.\r\n")
	for range 4 {
		expect(t, r, "")
	}
	expect(t, r, "250 2.0.0 Ok 0")
	if client := s.store.lastClient(); client.String() != "127.0.0.1" {
		t.Errorf("the client is %s", client)
	}
}

// TestOverlappingListeners checks that overlapping addresses prevent the start, with an
// error that names the address in use.
func TestOverlappingListeners(t *testing.T) {
	port := testkit.FreePort(t)
	for _, second := range []string{"0.0.0.0:" + port, "127.0.0.1:" + port, "[::]:" + port} {
		s := newServer(testLimits(), session.AcceptAny())
		s.listenOn(":"+port, second)
		err := s.start()
		if err == nil || !strings.Contains(err.Error(), second) || !errors.Is(err, unix.EADDRINUSE) {
			t.Errorf("%s: got %v", second, err)
		}
	}
}

// TestHostWithoutIPv6 checks a host without IPv6, the default of a container network. A
// listener on 0.0.0.0 or on an empty host can be reached, and [::] is reported as
// unreachable.
func TestHostWithoutIPv6(t *testing.T) {
	testkit.Root(t, "only root makes network namespaces")
	for address, want := range map[string]string{
		"0.0.0.0:2525":   "220 ",
		":2525":          "220 ",
		"127.0.0.1:2525": "220 ",
		"[::]:2525":      "[::]:2525 is unreachable",
	} {
		t.Run(address, func(t *testing.T) {
			c := exec.Command(childBinary(t))
			c.Env = append(os.Environ(), "REACTOR_TEST_CHILD=alone", "REACTOR_TEST_ADDRESS="+address)
			c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS}
			out, err := c.CombinedOutput()
			if !strings.Contains(string(out), want) {
				t.Errorf("got %q, %v, want %s", out, err, want)
			}
		})
	}
}

// serveAlone serves in a network namespace of its own without IPv6, and prints the
// greeting that its IPv4 client receives.
func serveAlone(address string) error {
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", []byte("1"), 0); err != nil && !os.IsNotExist(err) {
		return err
	}
	if err := loopbackUp(); err != nil {
		return err
	}
	s := newServer(testLimits(), session.AcceptAny())
	s.listenOn(address)
	if err := s.start(); err != nil {
		return err
	}
	if b := s.reactor.Bound()[0]; b.Unreachable {
		return fmt.Errorf("%s is unreachable", b.Address)
	}
	conn, err := net.DialTimeout("tcp", "127.0.0.1:2525", 10*time.Second)
	if err != nil {
		return err
	}
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	line, err := bufio.NewReader(conn).ReadString('\n')
	fmt.Print(line)
	return err
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}

// TestEndpointsHaveTheirOwnListener greets each connection as its own endpoint says.
func TestEndpointsHaveTheirOwnListener(t *testing.T) {
	s := newServer(testLimits(), session.AcceptAny())
	other := &driver.Listener{Settings: session.NewSettings("mx2.example.net", testLimits(), session.AcceptAny())}
	s.reactor.options.Endpoints = append(s.reactor.options.Endpoints, Endpoint{"127.0.0.1:0", other})
	s.run(t)
	for i, host := range []string{"mx1", "mx2"} {
		conn, err := net.Dial("tcp", s.reactor.Addresses()[i])
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		expect(t, bufio.NewReader(conn), "220 "+host+".example.net ")
	}
}
