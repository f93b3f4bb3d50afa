package stress

import (
	"net"
	"testing"

	"sluice/codec"
	"sluice/loadtest/process"
)

// A session that the gate sheds is known as such, in place of the greeting and later.
func TestShedIsKnown(t *testing.T) {
	const host = "mx1.example.net"
	for name, answer := range map[string]string{
		"in place of the greeting": string(codec.ReplyPressure.AppendPlain(nil, host, nil)),
		"later":                    "220 " + host + " ESMTP\r\n" + string(codec.ReplyPressure.Append(nil, host, nil)),
	} {
		t.Run(name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = listener.Close() }()
			served := make(chan struct{})
			go func() {
				defer close(served)
				if conn, err := listener.Accept(); err == nil {
					_, _ = conn.Write([]byte(answer))
					_, _ = conn.Read(make([]byte, 64))
					_ = conn.Close()
				}
			}()
			at := &instance{Sluice: &process.Sluice{SMTP: listener.Addr().String()}}
			if got := (ConnectionChurn{}).visit(t.Context(), at); got != wasShed {
				t.Errorf("got %q", got)
			}
			<-served
		})
	}
}
