package reactor

import (
	"fmt"
	"net"
)

// probe binds each address once without SO_REUSEPORT: with it, a second process
// would share the port without an error, and take half of the mail.
func probe(addresses []string) error {
	for _, address := range addresses {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return fmt.Errorf("cannot listen on %s: %w", address, err)
		}
		if err := l.Close(); err != nil {
			return fmt.Errorf("cannot listen on %s: %w", address, err)
		}
	}
	return nil
}
