package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Limits of what a server may take; on a busy machine of two cores Kafka was
// ready in 7 to 20 s.
const (
	readyTimeout = 2 * time.Minute
	stopTimeout  = 30 * time.Second
	probeEvery   = 50 * time.Millisecond
)

// Server is one program with a folder of its own, on ports that stay the same
// when it is ended and started again. Its methods are for one goroutine.
type Server struct {
	// Name of the part, such as minio.
	Name string
	// Dir holds its data, settings, log and pid file.
	Dir string

	command []string
	env     []string
	user    *syscall.Credential             // nil: ours
	free    func(ctx context.Context) error // nil, or waits until what a killed one held is free
	probe   func(ctx context.Context) error // nil error: it serves
	life    life

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan struct{} // closed when cmd has ended
}

// life is what ends a server.
type life int

const (
	// withUs: it dies with the program that started it, however that ends.
	withUs life = iota
	// onItsOwn: it runs until it is told to end.
	onItsOwn
)

// LogFile is what it prints.
func (s *Server) LogFile() string { return filepath.Join(s.Dir, s.Name+".log") }

func (s *Server) pidFile() string { return filepath.Join(s.Dir, s.Name+".pid") }

// PID is the number of the process, 0 when none was started.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return 0
	}
	return s.cmd.Process.Pid
}

// start runs the program and waits until it serves.
func (s *Server) start() error {
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	if s.free != nil {
		if err := s.free(ctx); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	if err := s.launch(); err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	if err := s.awaitReady(ctx); err != nil {
		err = fmt.Errorf("%s: %w\n%s", s.Name, err, s.LogTail())
		return errors.Join(err, s.Kill())
	}
	return nil
}

func (s *Server) launch() error {
	log, err := os.OpenFile(s.LogFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own descriptor
	cmd := exec.Command(s.command[0], s.command[1:]...)
	cmd.Dir = s.Dir
	cmd.Env = append(os.Environ(), s.env...)
	cmd.Stdout, cmd.Stderr = log, log
	// A group of its own: Ctrl-C at the terminal is for us, and we say when.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: s.user}
	if s.life == withUs {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended stands in its log
		close(ended)
	}()
	s.mu.Lock()
	s.cmd, s.ended = cmd, ended
	s.mu.Unlock()
	return os.WriteFile(s.pidFile(), []byte(strconv.Itoa(cmd.Process.Pid)), 0o644)
}

// awaitReady asks again until the server serves, ends, or ctx does.
func (s *Server) awaitReady(ctx context.Context) error {
	again := time.NewTicker(probeEvery)
	defer again.Stop()
	for {
		err := s.Healthy(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.ended:
			return errors.New("it has ended")
		case <-ctx.Done():
			return fmt.Errorf("not ready in time: %w", err)
		case <-again.C:
		}
	}
}

// Healthy asks the server once whether it serves.
func (s *Server) Healthy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return s.probe(ctx)
}

func (s *Server) signal(sig syscall.Signal) error {
	s.mu.Lock()
	cmd := s.cmd
	s.mu.Unlock()
	if cmd == nil {
		return nil
	}
	if err := cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("%s: %s: %w", s.Name, sig, err)
	}
	return nil
}

// Pause stops the process without its knowing (SIGSTOP): its connections stand
// and nothing answers. The signal is delivered to one thread after the other, so
// it waits until the last of them stands.
func (s *Server) Pause() error {
	if err := s.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	for deadline := time.Now().Add(stopTimeout); !stopped(s.PID()); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("process %d does not stop", s.PID())
		}
	}
	return nil
}

// stopped reports whether all threads of a process are stopped (proc(5): state T).
func stopped(pid int) bool {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid)) // the pattern is right
	for _, task := range tasks {
		stat, err := os.ReadFile(task)
		if err != nil {
			continue // a thread that has ended
		}
		// The name in parentheses may hold anything; the state follows it.
		if i := bytes.LastIndexByte(stat, ')'); i < 0 || i+2 >= len(stat) || stat[i+2] != 'T' {
			return false
		}
	}
	return len(tasks) > 0
}

// Resume ends a Pause (SIGCONT).
func (s *Server) Resume() error { return s.signal(syscall.SIGCONT) }

// Kill ends the process as kill -9 does and returns when it has ended.
func (s *Server) Kill() error {
	if err := s.signal(syscall.SIGKILL); err != nil {
		return err
	}
	if ended := s.whenEnded(); ended != nil {
		<-ended
	}
	return nil
}

// Stop asks the process to end (SIGTERM) and returns when it has; one that does
// not end within 30 s is killed, and that is an error. A paused one is resumed.
func (s *Server) Stop() error {
	ended := s.whenEnded()
	if ended == nil {
		return nil
	}
	if err := errors.Join(s.signal(syscall.SIGTERM), s.Resume()); err != nil {
		return err
	}
	expired := time.NewTimer(stopTimeout)
	defer expired.Stop()
	select {
	case <-ended:
		return nil
	case <-expired.C:
		return errors.Join(fmt.Errorf("%s did not end within %s", s.Name, stopTimeout), s.Kill())
	}
}

// Restart starts the process again on the same ports and data and returns when
// it serves. One that runs is stopped first.
func (s *Server) Restart() error {
	if err := s.Stop(); err != nil {
		return err
	}
	return s.start()
}

func (s *Server) whenEnded() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// LogTail is the last 16 KiB of what the server printed.
func (s *Server) LogTail() string {
	const kept = 16 << 10
	text, err := os.ReadFile(s.LogFile())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-kept):])
}
