package tlscodec

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sluice/internal/testkit"
)

// client is openssl s_client, connected to a server on the record layer that answers in
// capitals.
type client struct {
	*exec.Cmd
	in     io.WriteCloser
	out    testkit.Buffer
	served chan error
	state  func() tls.ConnectionState // of the server, once served has its result
}

func openssl(t *testing.T, ours *tls.Config, flags ...string) *client {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	c := &client{served: make(chan error, 1)}
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			c.served <- err
			return
		}
		defer conn.Close()
		s := newServer(conn, ours)
		c.state = s.codec.State
		c.served <- s.serve(bytes.ToUpper)
	}()
	flags = append([]string{"s_client", "-connect", listener.Addr().String(), "-servername", "mx.example.net"}, flags...)
	c.Cmd = exec.CommandContext(testkit.Deadline(t), testkit.Tool(t, "openssl"), flags...)
	c.Stdout, c.Stderr = &c.out, &c.out
	if c.in, err = c.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

// says types a line and waits for what openssl shows then. It takes one command a read.
func (c *client) says(t *testing.T, line, shows string) {
	t.Helper()
	before := strings.Count(c.out.String(), shows)
	_, _ = io.WriteString(c.in, line+"\n")
	testkit.Eventually(t, shows, func() bool { return strings.Count(c.out.String(), shows) > before })
}

// ends waits for the end of both sides and returns the server's error.
func (c *client) ends() error {
	c.in.Close()
	_ = c.Wait()
	return <-c.served
}

// TestOpenSSL talks to openssl in each version, with new keys on the way where there are.
func TestOpenSSL(t *testing.T) {
	for kind, pair := range keys {
		t.Run("1.3"+kind, func(t *testing.T) {
			c := openssl(t, serverConfig(pair()), "-tls1_3", "-record_padding", "512")
			c.says(t, "hello", "HELLO")
			c.says(t, "K", "KEYUPDATE")
			c.says(t, "again", "AGAIN")
			c.says(t, "k", "KEYUPDATE")
			c.says(t, "and again", "AND AGAIN")
			_, _ = io.WriteString(c.in, "Q\n")
			if err := c.ends(); err != nil {
				t.Errorf("%v\n%s", err, c.out.String())
			}
		})
		t.Run("1.2"+kind, func(t *testing.T) {
			c := openssl(t, serverConfig(pair()), "-tls1_2")
			c.says(t, "hello", "HELLO")
			_, _ = io.WriteString(c.in, "Q\n")
			if err := c.ends(); err != nil {
				t.Errorf("%v\n%s", err, c.out.String())
			}
			if v := c.state().Version; v != tls.VersionTLS12 {
				t.Errorf("version %x", v)
			}
		})
	}
}

func TestOpenSSLIsRefused(t *testing.T) {
	t.Run("renegotiation", func(t *testing.T) {
		c := openssl(t, serverConfig(testkit.ECDSAPair()), "-tls1_2")
		c.says(t, "hello", "HELLO")
		c.says(t, "R", "RENEGOTIATING")
		if err := c.ends(); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("got %v\n%s", err, c.out.String())
		}
	})
	t.Run("1.1", func(t *testing.T) {
		c := openssl(t, serverConfig(testkit.ECDSAPair()), "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")
		if err := c.ends(); err == nil || !strings.Contains(c.out.String(), "alert protocol version") {
			t.Errorf("got %v\n%s", err, c.out.String())
		}
	})
}

// TestOpenSSLResumes resumes a session. It cannot send early data: no ticket permits it.
func TestOpenSSLResumes(t *testing.T) {
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		t.Run(version, func(t *testing.T) {
			ours := serverConfig(testkit.ECDSAPair())
			saved, early := filepath.Join(t.TempDir(), "session"), filepath.Join(t.TempDir(), "early")
			if err := os.WriteFile(early, []byte("early\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, flags := range [][]string{{"-sess_out", saved}, {"-sess_in", saved}} {
				if version == "-tls1_3" && flags[0] == "-sess_in" {
					flags = append(flags, "-early_data", early)
				}
				c := openssl(t, ours, append(flags, version)...)
				c.says(t, "hello", "HELLO")
				_, _ = io.WriteString(c.in, "Q\n")
				if err := c.ends(); err != nil {
					t.Fatalf("%v\n%s", err, c.out.String())
				}
				if c.state().DidResume != (flags[0] == "-sess_in") {
					t.Errorf("resumed %t with %q", c.state().DidResume, flags)
				}
				if strings.Contains(c.out.String(), "EARLY\n") {
					t.Error("early data was taken")
				}
			}
		})
	}
}
