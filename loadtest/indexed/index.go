// Package indexed sends a corpus to Sluice, and asks its index for each mail by all that is
// true of it.
package indexed

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Index is the API of an index. It is safe for concurrent use.
type Index struct {
	Address string // of the admin server, host:port
	client  http.Client
}

// pageSize is how many messages are asked for at a time.
const pageSize = "500"

// Find calls each with the JSON of each message that is found, the newest first.
func (x *Index) Find(ctx context.Context, words url.Values, each func(json.RawMessage) error) error {
	query := url.Values{"limit": {pageSize}}
	for word, values := range words {
		query[word] = values
	}
	for {
		var page struct {
			Messages []json.RawMessage `json:"messages"`
			Cursor   string            `json:"cursor"`
		}
		if err := x.get(ctx, "/api/v1/messages?"+query.Encode(), &page); err != nil {
			return err
		}
		for _, m := range page.Messages {
			if err := each(m); err != nil {
				return err
			}
		}
		if page.Cursor == "" {
			return nil
		}
		query.Set("cursor", page.Cursor)
	}
}

// IDs returns the ids of the messages that are found, the newest first.
func (x *Index) IDs(ctx context.Context, words url.Values) (ids []string, err error) {
	err = x.Find(ctx, words, func(raw json.RawMessage) error {
		var m struct {
			ID string `json:"id"`
		}
		ids = append(ids, "")
		err := json.Unmarshal(raw, &m)
		ids[len(ids)-1] = m.ID
		return err
	})
	return ids, err
}

// get fetches a page of the API. One that is busy or not there yet is asked again for a
// while.
func (x *Index) get(ctx context.Context, path string, into any) error {
	const patience = 30 * time.Second
	until := time.Now().Add(patience)
	for {
		status, text, err := x.once(ctx, path)
		switch {
		case err == nil && status == http.StatusOK:
			return json.Unmarshal(text, into)
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil && status != http.StatusServiceUnavailable && status != http.StatusTooManyRequests, time.Now().After(until):
			return fmt.Errorf("GET %s: %d %.300s %w", path, status, text, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (x *Index) once(ctx context.Context, path string) (status int, text []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+x.Address+path, nil)
	if err != nil {
		return 0, nil, err
	}
	reply, err := x.client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer reply.Body.Close()
	text, err = io.ReadAll(reply.Body)
	return reply.StatusCode, text, err
}
