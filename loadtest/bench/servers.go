package bench

import (
	"fmt"
	"os"
	"testing"

	"sluice/loadtest/stack"
)

// servers are the store and the broker of a fleet, empty and on free ports.
type servers struct {
	store  *stack.MinIOServer
	broker *stack.KafkaServer
	ending []func()
}

// startServers starts both; close ends them.
func startServers(scratch string) (s *servers, err error) {
	s = &servers{}
	defer func() {
		if cause := recover(); cause != nil {
			failure, ours := cause.(fixtureFailure)
			if !ours {
				panic(cause)
			}
			s.close()
			s, err = nil, failure.error
		}
	}()
	t := &fixture{scratch: scratch, servers: s}
	s.store, s.broker = stack.MinIO(t), stack.Kafka(t)
	return s, nil
}

func (s *servers) close() {
	for len(s.ending) > 0 {
		last := len(s.ending) - 1
		s.ending[last]()
		s.ending = s.ending[:last]
	}
}

// fixture is what the servers of the stack want of a test, for a program that is
// none. What it does not define nobody asks for.
type fixture struct {
	testing.TB
	scratch string
	servers *servers
}

// fixtureFailure is how Fatal ends, as runtime.Goexit ends a test.
type fixtureFailure struct{ error }

func (f *fixture) Helper()      {}
func (f *fixture) Failed() bool { return false }

func (f *fixture) Cleanup(end func()) { f.servers.ending = append(f.servers.ending, end) }

func (f *fixture) TempDir() string {
	dir, err := os.MkdirTemp(f.scratch, "server-")
	if err != nil {
		f.Fatal(err)
	}
	return dir
}

func (f *fixture) Fatal(args ...any) {
	panic(fixtureFailure{fmt.Errorf("start the servers of the fleet: %s", fmt.Sprint(args...))})
}

// Error is heard when a server could not be ended: then there is nothing to do.
func (f *fixture) Error(...any) {}
