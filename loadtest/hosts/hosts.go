// Package hosts makes test hosts out of network namespaces, so that what is deployed
// can be reached as it is deployed: not over loopback. Only root can make them.
package hosts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
)

// Host is a network namespace with an address of its own and a loopback.
type Host struct {
	Name    string // of the namespace
	Address string // IPv4
	IPv6    string // empty without
}

// The addresses of a pair (RFC 5737, RFC 3849: for documentation, nobody's).
const (
	serverAddress = "192.0.2.1"
	clientAddress = "192.0.2.2"
	serverIPv6    = "2001:db8::1"
	clientIPv6    = "2001:db8::2"
)

// pairs counts the pairs of this process, for their names.
var pairs atomic.Int64

// Pair makes two hosts with a cable between them. They have no IPv6, as a container's
// network by default. Close both with Remove.
func Pair(ctx context.Context) (server, client *Host, err error) {
	prefix := fmt.Sprintf("sluice%d-%d", os.Getpid(), pairs.Add(1))
	server, client = &Host{Name: prefix + "s", Address: serverAddress}, &Host{Name: prefix + "c", Address: clientAddress}
	steps := []string{
		"ip netns add " + server.Name,
		"ip netns add " + client.Name,
		"ip link add veth0 netns " + server.Name + " type veth peer name veth0 netns " + client.Name,
	}
	for _, h := range []*Host{server, client} {
		in := "ip netns exec " + h.Name + " "
		steps = append(steps,
			in+"sysctl -qw net.ipv6.conf.all.disable_ipv6=1",
			in+"ip link set lo up",
			in+"ip addr add "+h.Address+"/24 dev veth0",
			in+"ip link set veth0 up")
	}
	for _, step := range steps {
		if err := run(ctx, step); err != nil {
			return nil, nil, errors.Join(err, Remove(server, client))
		}
	}
	return server, client, nil
}

// AddIPv6 has the hosts of a pair reach each other over IPv6 as well.
func AddIPv6(ctx context.Context, server, client *Host) error {
	server.IPv6, client.IPv6 = serverIPv6, clientIPv6
	for _, h := range []*Host{server, client} {
		in := "ip netns exec " + h.Name + " "
		for _, step := range []string{
			in + "sysctl -qw net.ipv6.conf.all.disable_ipv6=0",
			in + "ip addr add " + h.IPv6 + "/64 dev veth0 nodad",
		} {
			if err := run(ctx, step); err != nil {
				return err
			}
		}
	}
	return nil
}

// Remove removes hosts. What still runs on them must have been ended.
func Remove(hosts ...*Host) error {
	var errs []error
	for _, h := range hosts {
		errs = append(errs, run(context.Background(), "ip netns del "+h.Name))
	}
	return errors.Join(errs...)
}

// Command returns a command that runs on the host.
func (h *Host) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append(h.Wrapper(), append([]string{name}, args...)...)[1:]...)
}

// Wrapper returns the words that stand before a command that is to run on the host.
func (h *Host) Wrapper() []string { return []string{"ip", "netns", "exec", h.Name} }

func run(ctx context.Context, line string) error {
	words := strings.Fields(line)
	out, err := exec.CommandContext(ctx, words[0], words[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", line, err, out)
	}
	return nil
}
