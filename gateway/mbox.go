package main

import (
	"bufio"
	"strings"
	"time"
)

// mboxWriter writes messages in the format mboxrd: each behind a line with its sender, its
// own lines that look like one quoted by one more ">". What was quoted can be told again.
// All other bytes stay as they are. It is a writer for the bytes of one message.
type mboxWriter struct {
	out     *bufio.Writer
	atStart bool // of a line
	quotes  int  // how many ">" begin the line
	matched int  // how many bytes of fromLine follow them
}

const fromLine = "From "

// begin begins a message.
func (w *mboxWriter) begin(sender string, at time.Time) error {
	if sender = strings.ReplaceAll(printable(sender), " ", "_"); sender == "" {
		sender = "MAILER-DAEMON"
	}
	w.atStart, w.quotes, w.matched = true, 0, 0
	_, err := w.out.WriteString(fromLine + sender + " " + at.UTC().Format(time.ANSIC) + "\n")
	return err
}

// Write implements io.Writer.
func (w *mboxWriter) Write(p []byte) (int, error) {
	for _, c := range p {
		if w.atStart {
			switch {
			case c == '>' && w.matched == 0:
				w.quotes++
				continue
			case c == fromLine[w.matched]:
				if w.matched++; w.matched == len(fromLine) {
					w.quotes++
					w.release()
				}
				continue
			}
			w.release()
		}
		if err := w.out.WriteByte(c); err != nil {
			return 0, err
		}
		w.atStart = c == '\n'
	}
	return len(p), nil
}

// release writes what was held back at the start of a line. Its error comes again with the
// next byte.
func (w *mboxWriter) release() {
	for ; w.quotes > 0; w.quotes-- {
		_ = w.out.WriteByte('>')
	}
	_, _ = w.out.WriteString(fromLine[:w.matched])
	w.atStart, w.matched = false, 0
}

// end ends a message with an empty line.
func (w *mboxWriter) end() error {
	text := "\n"
	if w.atStart && w.quotes+w.matched > 0 || !w.atStart {
		w.release()
		text = "\n\n"
	}
	_, err := w.out.WriteString(text)
	return err
}
