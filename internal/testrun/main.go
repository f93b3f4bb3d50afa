// Command testrun runs go test with its arguments. It prints a line for each package that
// passed, the output of tests that failed, and at the end once more which these were.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

func main() {
	code, err := run(os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testrun:", err)
	}
	os.Exit(code)
}

// run runs go test, reports to out, and returns the exit code.
func run(args []string, out io.Writer) (code int, err error) {
	command := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	command.Stderr = os.Stderr
	events, err := command.StdoutPipe()
	if err != nil {
		return 1, err
	}
	if err := command.Start(); err != nil {
		return 1, err
	}
	r := newReport(out)
	err = r.read(events)
	// go test ends also if it is not read any more.
	ended := command.Wait()
	r.end()
	var exit *exec.ExitError
	switch {
	case errors.As(ended, &exit):
		return max(exit.ExitCode(), 1), err // -1 after a signal
	case err != nil || ended != nil:
		return 1, errors.Join(err, ended)
	case len(r.failed) > 0:
		return 1, nil
	}
	return 0, nil
}

// read reports the events of go test -json. What is none is printed as it is.
func (r *report) read(events io.Reader) error {
	for in := bufio.NewReader(events); ; {
		line, err := in.ReadBytes('\n')
		var e event
		switch {
		case len(line) == 0:
		case json.Unmarshal(line, &e) == nil:
			r.add(&e)
		default:
			r.print(string(line))
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
