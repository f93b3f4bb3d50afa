package peers

import (
	"bufio"
	"context"
	"net"
	"sync"
)

// streamBuffer is what sluice/loadtest/client writes at once, bytes.
const streamBuffer = 32 << 10

// ServeStream writes the same content to everybody who connects, as a sender of
// mail would, and closes. It returns nil when ctx ends.
func ServeStream(ctx context.Context, listener net.Listener, content string) error {
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	var all sync.WaitGroup
	defer all.Wait()
	for {
		conn, err := listener.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		all.Go(func() {
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			out := bufio.NewWriterSize(conn, streamBuffer)
			if _, err := out.WriteString(content); err == nil {
				_ = out.Flush() // whoever reads misses what did not arrive
			}
		})
	}
}
