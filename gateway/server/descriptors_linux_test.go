package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"sluice/internal/testkit"
)

// fewFilesEnv makes the test binary run as a gateway.
const fewFilesEnv = "TEST_FEW_FILES"

// TestGatewayWithFewFiles is that gateway, until its input ends.
func TestGatewayWithFewFiles(t *testing.T) {
	if os.Getenv(fewFilesEnv) == "" {
		return
	}
	r := launch(t, nil)
	fmt.Printf("\nready %s %s %s\n", r.reactor.Addresses()[0], r.admin.Addr(), r.events.Address)
	_, _ = io.Copy(io.Discard, os.Stdin)
	r.cancel() // before its directory is removed
	<-r.ended
}

// TestNoClientTakesTheDescriptors sets a limit of 1,024 open files. 1,100 open
// connections to /livez, and as many to the embedded broker, must keep out neither mail
// nor a scrape, and must not end the process.
func TestNoClientTakesTheDescriptors(t *testing.T) {
	command := exec.Command("sh", "-c", `ulimit -n 1024 && exec "$0" -test.run=^TestGatewayWithFewFiles$`, os.Args[0])
	command.Env = append(os.Environ(), fewFilesEnv+"=1")
	input, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = input.Close(); _ = command.Wait() }) // it removes its folder
	var smtp, admin, broker string
	for lines := bufio.NewScanner(output); smtp == "" && lines.Scan(); {
		_, _ = fmt.Sscanf(lines.Text(), "ready %s %s %s", &smtp, &admin, &broker)
	}
	if smtp == "" {
		t.Fatal("the gateway did not start")
	}
	for range 1100 {
		for address, request := range map[string]string{admin: "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", broker: ""} {
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
			_, _ = io.WriteString(c, request) // fails on a connection that was displaced
		}
	}
	c := testkit.DialSMTP(t, smtp)
	c.Expect("220 ")
	_, _ = io.WriteString(c.Conn, "HELO c.example.org\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\nx: y\r\n\r\ntext\r\n.\r\n")
	for _, want := range []string{"250 ", "250 ", "250 ", "354 ", "250 2.0.0 Ok 0"} {
		c.Expect(want)
	}
	testkit.Eventually(t, "the message and who was displaced are counted", func() bool {
		_, page := pageOf(t, "http://"+admin+"/metrics")
		return strings.Contains(page, `sluice_messages_total{result="accepted"} 1`) &&
			!strings.Contains(page, `sluice_connections_displaced_total{server="admin"} 0`)
	})
}
