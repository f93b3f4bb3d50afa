package reactor

import (
	"fmt"
	"net"
)

// probe binds each address once without SO_REUSEPORT: with it, a second process
// would share the port without an error, and take half of the mail. It gives the
// addresses with the ports that the kernel chose for port 0, because each loop
// binds for itself and all must bind the same.
func probe(addresses []string) ([]string, error) {
	bound := make([]string, 0, len(addresses))
	for _, address := range addresses {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return nil, fmt.Errorf("cannot listen on %s: %w", address, err)
		}
		bound = append(bound, l.Addr().String())
		if err := l.Close(); err != nil {
			return nil, fmt.Errorf("cannot listen on %s: %w", address, err)
		}
	}
	return bound, nil
}
