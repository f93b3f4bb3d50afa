// Package console lets people find mail with a browser: pages, the API beside them, and
// downloads. It changes nothing, and nothing of a message is ever served as HTML.
package console

import (
	"context"
	"io"
	"net/http"
	"time"

	"sluice/index"
	"sluice/pipeline"
)

// Options are what the console needs.
type Options struct {
	Store index.Store
	// Open opens a stored message, with what Sluice added on top. Its error wraps
	// fs.ErrNotExist if the message is no longer stored; any other means that the store
	// cannot be used.
	Open func(ctx context.Context, b index.Blob) (io.ReadCloser, error)
	// Token returns what a client must know, now. It returns "" only where none is needed.
	Token func() string
	// Hosts reports whether a request may be for a host: lower case, without port and
	// brackets. It is what keeps out foreign pages whose name resolves to this server.
	Hosts func(host string) bool
	Now   func() time.Time
	// Answered is called with each request and the status of its answer. It may be nil.
	Answered func(r *http.Request, status int)
}

// Bounds of what runs at a time, and for how long.
const (
	maxQueries = 4                // of the database
	maxReads   = 8                // of stored messages: downloads, and texts that are shown
	patience   = time.Second      // for one of these places
	queryTime  = 10 * time.Second // for one answer of the database
	readTime   = 5 * time.Second  // for the text of a message that is shown
	chunkTime  = 30 * time.Second // in which a client has to take a chunk, and the store to give one
)

// console serves all that Handler does.
type console struct {
	Options
	attempts attempts
	queries  places
	reads    places

	queryTime, chunkTime time.Duration
}

// Handler returns the handler of the page, the API and the downloads. It checks the host,
// the origin and the token of each request itself.
func Handler(o Options) http.Handler { return newConsole(o).handler() }

func newConsole(o Options) *console {
	return &console{
		Options: o, queries: make(places, maxQueries), reads: make(places, maxReads),
		queryTime: queryTime, chunkTime: chunkTime,
	}
}

func (c *console) handler() http.Handler {
	pages := http.NewServeMux()
	for path, file := range static {
		pages.Handle(path, file)
	}
	pages.HandleFunc("/{$}", c.list)
	pages.HandleFunc("/messages/{id}", asPage(c.message))
	pages.HandleFunc("/messages/{id}/raw", asPage(c.raw))
	pages.HandleFunc("/messages/{id}/parts/{number}", asPage(c.part))
	pages.HandleFunc("/api/v1/messages", asJSON(c.listJSON))
	pages.HandleFunc("/api/v1/messages/{id}", asJSON(c.messageJSON))
	pages.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, r, &fault{status: http.StatusNotFound, text: "There is no such page."})
	})
	return c.observed(func(w http.ResponseWriter, r *http.Request) {
		protect(w.Header())
		if err := c.admit(w.Header(), r); err != nil {
			fail(w, r, err)
			return
		}
		pages.ServeHTTP(w, r)
	})
}

// get returns the message that the path of a request names.
func (c *console) get(r *http.Request) (*index.Message, error) {
	id, err := pipeline.ParseID(r.PathValue("id"))
	if err != nil {
		return nil, &fault{status: http.StatusNotFound, text: "This is no id of a message."}
	}
	var m *index.Message
	err = c.query(r.Context(), func(ctx context.Context) error {
		m, err = c.Store.Get(ctx, id)
		return err
	})
	return m, err
}

// query calls ask with a deadline once few enough others run. It returns the error of ask
// as a fault.
func (c *console) query(ctx context.Context, ask func(ctx context.Context) error) error {
	leave, err := c.queries.take(ctx, "Too many searches run at once.")
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, c.queryTime)
	defer cancel()
	return ofIndex(ctx, ask(ctx))
}

// places bound how many of something run at a time.
type places chan struct{}

// take waits a moment for a place, which the caller leaves.
func (p places) take(ctx context.Context, text string) (leave func(), err error) {
	wait := time.NewTimer(patience)
	defer wait.Stop()
	select {
	case p <- struct{}{}:
		return func() { <-p }, nil
	case <-wait.C:
	case <-ctx.Done():
	}
	return nil, &fault{status: http.StatusServiceUnavailable, text: text, hint: "Try again in a moment.", retry: true}
}
