package console

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"strings"

	"sluice/index"
)

// fault is an error that a client sees.
type fault struct {
	status int
	text   string
	hint   string // what to do about it, or empty
	here   string // the same address as a link, for a navigation that was refused
	retry  bool   // later may help
	cause  error
}

// Error returns the text of the fault.
func (f *fault) Error() string { return f.text }

// Unwrap returns what has caused the fault, or nil.
func (f *fault) Unwrap() error { return f.cause }

// ofIndex returns an error of the database as a fault. ctx is that of the call.
func ofIndex(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, index.ErrNotFound):
		return &fault{status: http.StatusNotFound, text: "The index has no such message.", cause: err,
			hint: "It may be older than the index keeps messages, or so young that it is not indexed yet."}
	case errors.Is(err, index.ErrCursor):
		return &fault{status: http.StatusBadRequest, text: "cursor: " + err.Error(), cause: err}
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &fault{status: http.StatusGatewayTimeout, text: "The search took too long and was stopped.", cause: err, retry: true,
			hint: "A period (since, until), or a word that few messages have, makes it faster."}
	}
	return &fault{status: http.StatusServiceUnavailable, text: "The index cannot be used now.", cause: err, retry: true,
		hint: "Its database is away or refuses to answer: " + err.Error()}
}

// ofStore returns an error of the object store as a fault.
func ofStore(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &fault{status: http.StatusNotFound, text: "The message is no longer stored.", cause: err,
			hint: "The index still has what it knows about it."}
	}
	return &fault{status: http.StatusServiceUnavailable, text: "The stored message cannot be read now.", cause: err, retry: true,
		hint: err.Error()}
}

// asFault returns err as a fault.
func asFault(err error) *fault {
	var f *fault
	if !errors.As(err, &f) {
		f = &fault{status: http.StatusInternalServerError, text: "This failed.", hint: err.Error(), cause: err}
	}
	return f
}

// fail answers a request with an error: in JSON below /api/, elsewhere as a page.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	if strings.HasPrefix(r.URL.Path, "/api/") {
		failJSON(w, err)
		return
	}
	f := prepare(w.Header(), err)
	render(w, f.status, "fault", faultView{Title: http.StatusText(f.status), Fault: viewFault(f)})
}

// failJSON answers a request of the API with an error.
func failJSON(w http.ResponseWriter, err error) {
	f := prepare(w.Header(), err)
	text := f.text
	if f.hint != "" {
		text += " " + f.hint
	}
	body, err := json.Marshal(map[string]string{"error": text})
	if err != nil {
		panic(err) // a text always has JSON
	}
	send(w, f.status, "application/json", body)
}

// prepare sets the header fields of an answer that is an error.
func prepare(h http.Header, err error) *fault {
	f := asFault(err)
	if f.retry {
		h.Set("Retry-After", "1")
	}
	return f
}

// asPage returns a handler that answers the errors of h as pages.
func asPage(h func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			fail(w, r, err)
		}
	}
}

// asJSON returns a handler that answers with what h returns, in JSON.
func asJSON(h func(*http.Request) ([]byte, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := h(r)
		if err != nil {
			failJSON(w, err)
			return
		}
		send(w, http.StatusOK, "application/json", body)
	}
}
