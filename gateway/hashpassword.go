package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"sluice/gateway/identity"
	"sluice/gateway/identity/static"
	"sluice/internal/panics"
)

// hashPassword prints the hash of a password and nothing else. The password is what standard
// input holds, without a line end behind it; at a terminal it is asked for twice.
func (a app) hashPassword() error {
	secret, err := a.secret("Password: ", "Again: ")
	defer clear(secret)
	switch {
	case err != nil:
		return err
	case len(secret) == 0:
		return errors.New("the password is empty")
	case len(secret) > identity.MaxSecret:
		return fmt.Errorf("the password is longer than %d bytes", identity.MaxSecret)
	case bytes.IndexByte(secret, 0) >= 0:
		return errors.New("the password has a NUL, which no client may send")
	}
	_, err = fmt.Fprintln(a.out, static.Hash(secret))
	return err
}

// secret returns what standard input holds, without a line end behind it. At a terminal it
// asks by each prompt, and what is typed has to be the same.
func (a app) secret(prompts ...string) ([]byte, error) {
	if term.IsTerminal(int(a.in.Fd())) {
		return a.askPassword(prompts)
	}
	return a.readPassword()
}

func (a app) readPassword() ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(a.in, identity.MaxSecret+int64(len("\r\n"))+1))
	return bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r")), err
}

// maxTyped is how much of a line a terminal takes: Linux drops what comes behind it.
const maxTyped = 4095

// askPassword asks for a password by each prompt, at a terminal that does not show it. A
// signal that ends the program meanwhile leaves the terminal as it was.
func (a app) askPassword(prompts []string) ([]byte, error) {
	fd := int(a.in.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	signals, asked := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	defer close(asked)
	go panics.Keep(panics.Process, func() {
		select {
		case <-asked:
		case s := <-signals:
			_ = term.Restore(fd, before) // the terminal may be gone
			signal.Reset(s)
			_ = syscall.Kill(os.Getpid(), s.(syscall.Signal)) // so that a shell sees why it ended
		}
	})
	typed := make([][]byte, len(prompts))
	for i, prompt := range prompts {
		fmt.Fprint(a.err, prompt)
		typed[i], err = term.ReadPassword(fd)
		fmt.Fprintln(a.err)
		if err != nil {
			return nil, err
		}
	}
	if len(typed[0]) >= maxTyped {
		return typed[0], errors.New("the password is too long for a terminal: give it on standard input")
	}
	for _, again := range typed[1:] {
		defer clear(again)
		if !bytes.Equal(typed[0], again) {
			return typed[0], errors.New("the two passwords differ")
		}
	}
	return typed[0], nil
}
