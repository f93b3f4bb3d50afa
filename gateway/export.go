package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"sluice/gateway/adapters"
	"sluice/gateway/config"
	"sluice/index"
)

// exportFlags are those of export.
type exportFlags struct {
	searchFlags
	Mbox string `placeholder:"FILE" xor:"to" required:"" help:"Write one file of all messages (mboxrd), - for standard output."`
	EML  string `name:"eml" placeholder:"FOLDER" xor:"to" required:"" help:"Write a file for each message; the folder must be there."`
}

// exporter takes the messages of an export.
type exporter interface {
	// add adds a message, of which copy writes the bytes. An error that wraps errExport
	// ends the export; any other is about this message, which left nothing behind.
	add(m *index.Message, copy func(io.Writer) error) error
	close() error
}

// errExport is wrapped by errors after which no message can be exported.
var errExport = errors.New("the export cannot go on")

// fileMode is the mode of files with mail: only their owner may read them.
const fileMode = 0o600

// export writes the stored messages that are found, and returns the exit code. Without
// --limit these are all.
func (a app) export(ctx context.Context, c *config.Config, flags *exportFlags) (int, error) {
	q, err := flags.query(time.Now())
	if err != nil {
		return 0, err
	}
	most := 0
	if len(flags.Limit) > 0 {
		most = q.Limit
	}
	store, err := openIndex(ctx, c)
	if err != nil {
		return 0, err
	}
	defer func() { _ = store.Close() }() // it was only read
	objects, err := adapters.OpenReader(c)
	if err != nil {
		return 0, err
	}
	to, err := a.newExporter(flags)
	if err != nil {
		return 0, err
	}
	done, failed := 0, 0
	for m, err := range findAll(ctx, store, *q, most) {
		if err == nil {
			err = to.add(m, func(w io.Writer) error { return objects.Copy(ctx, w, rangeOf(m)) })
			if err != nil && !errors.Is(err, errExport) {
				failed++
				say(a.err, fmt.Sprintf("sluice: %s is left out: %s\n", m.ID, printable(err.Error())))
				continue
			}
		}
		if err != nil {
			return 0, errors.Join(fmt.Errorf("after %d messages: %w", done, err), to.close())
		}
		done++
	}
	if err := to.close(); err != nil {
		return 0, err
	}
	say(a.err, fmt.Sprintf("sluice: %d messages exported, %d left out\n", done, failed))
	switch {
	case failed > 0:
		return exitFailure, nil
	case done == 0:
		return exitNothing, nil
	}
	return exitOK, nil
}

// newExporter returns where messages go to. What is there stays.
func (a app) newExporter(flags *exportFlags) (exporter, error) {
	if flags.EML != "" {
		root, err := os.OpenRoot(flags.EML)
		if err != nil {
			return nil, err
		}
		return emlExporter{root}, nil
	}
	if flags.Mbox == "-" {
		return newMboxExporter(a.out, nil), nil
	}
	file, err := os.OpenFile(flags.Mbox, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, err
	}
	return newMboxExporter(file, file), nil
}

// emlExporter writes a file for each message into a folder.
type emlExporter struct{ root *os.Root }

func (e emlExporter) add(m *index.Message, copy func(io.Writer) error) error {
	name := m.ID.String() + ".eml"
	file, err := e.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	if err = errors.Join(copy(file), file.Close()); err != nil {
		err = errors.Join(err, e.root.Remove(name))
	}
	return err
}

func (e emlExporter) close() error { return e.root.Close() }

// mboxExporter writes one file of all messages.
type mboxExporter struct {
	mboxWriter
	file *os.File // nil for standard output, which cannot be cut
	size int64    // of the messages in the file
}

func newMboxExporter(w io.Writer, file *os.File) *mboxExporter {
	return &mboxExporter{mboxWriter: mboxWriter{out: bufio.NewWriterSize(w, 64<<10)}, file: file}
}

func (e *mboxExporter) add(m *index.Message, copy func(io.Writer) error) error {
	err := e.begin(m.MailFrom, m.ReceivedAt)
	if err == nil {
		if err = copy(&e.mboxWriter); err == nil {
			err = e.end()
		}
	}
	if err == nil {
		err = e.out.Flush()
	}
	if err != nil {
		return e.cut(err)
	}
	if e.file != nil {
		e.size, err = e.file.Seek(0, io.SeekCurrent)
	}
	return err
}

// cut removes what a message has left behind that failed with err.
func (e *mboxExporter) cut(err error) error {
	if flushed := e.out.Flush(); e.file == nil || flushed != nil {
		return fmt.Errorf("%w: %w", errExport, errors.Join(err, flushed))
	}
	_, sought := e.file.Seek(e.size, io.SeekStart)
	if cut := errors.Join(sought, e.file.Truncate(e.size)); cut != nil {
		return fmt.Errorf("%w: %w", errExport, errors.Join(err, cut))
	}
	return err
}

func (e *mboxExporter) close() error {
	err := e.out.Flush()
	if e.file != nil {
		err = errors.Join(err, e.file.Close())
	}
	return err
}
