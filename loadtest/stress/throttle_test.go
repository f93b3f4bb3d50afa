package stress

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Many connections through a throttle are together as slow as one.
func TestThrottleIsForAll(t *testing.T) {
	const rate, each, connections = 1_000_000, 125_000, 4
	sink, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	var arrived sync.WaitGroup
	arrived.Add(connections)
	go func() {
		for range connections {
			conn, err := sink.Accept()
			if err != nil {
				return
			}
			go func() {
				defer arrived.Done()
				defer conn.Close()
				if n, err := io.Copy(io.Discard, conn); n != each || err != nil {
					t.Errorf("%d octets came: %v", n, err)
				}
			}()
		}
	}()
	slow, err := throttle(sink.Addr().String(), rate)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Stop()
	began := time.Now()
	for range connections {
		conn, err := net.Dial("tcp", slow.Listen)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(make([]byte, each)); err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	arrived.Wait()
	if took := time.Since(began); took < connections*each*time.Second/rate {
		t.Errorf("%d octets in %v at %d a second", connections*each, took, rate)
	}
}
