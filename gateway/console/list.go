package console

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"sluice/index"
)

// Bounds of one answer: rows can be large, and a stranger decides how large.
const (
	atOnce  = 25      // rows that are asked for at a time
	maxJSON = 4 << 20 // bytes of rows in JSON, after which a page ends early
)

// list answers with the page that has the search and what it finds.
func (c *console) list(w http.ResponseWriter, r *http.Request) {
	view := listView{Title: "Mail", Form: formOf(r.URL.Query())}
	cursor, err := c.find(r, func(m *index.Message) bool {
		view.Rows = append(view.Rows, rowOf(m))
		return true
	})
	status := http.StatusOK
	if err != nil {
		f := prepare(w.Header(), err)
		status, view.Fault, view.Rows, cursor = f.status, viewFault(f), nil, ""
	}
	if cursor != "" {
		view.Older = withCursor(r.URL.Query(), cursor)
	}
	if r.URL.Query().Get("cursor") != "" {
		view.Newest = withCursor(r.URL.Query(), "")
	}
	render(w, status, "list", view)
}

// listJSON returns a page of what is found, as index.Page is in JSON. The page has fewer
// messages than the limit if they are large; only an empty cursor says that it is the last.
func (c *console) listJSON(r *http.Request) ([]byte, error) {
	body := bytes.NewBufferString(`{"messages":[`)
	separate := false
	cursor, err := c.find(r, func(m *index.Message) bool {
		row, err := json.Marshal(m)
		if err != nil {
			panic(err) // every row has JSON
		}
		if separate {
			body.WriteByte(',')
		}
		separate = true
		body.Write(row)
		return body.Len() < maxJSON
	})
	if err != nil {
		return nil, err
	}
	last, err := json.Marshal(cursor)
	if err != nil {
		return nil, err
	}
	body.WriteString(`],"cursor":`)
	body.Write(last)
	body.WriteByte('}')
	return body.Bytes(), nil
}

// find calls each with the messages that a request searches, as long as it wants more,
// and returns the cursor of those that follow.
func (c *console) find(r *http.Request, each func(*index.Message) (more bool)) (cursor string, err error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return "", &fault{status: http.StatusBadRequest, text: "The address is malformed: " + err.Error()}
	}
	q, err := index.ParseQuery(values, c.Now())
	if err != nil {
		return "", &fault{status: http.StatusBadRequest, text: err.Error(), cause: err}
	}
	err = c.query(r.Context(), func(ctx context.Context) error {
		left, more := q.Limit, true
		for more && left > 0 {
			q.Limit = min(left, atOnce)
			page, err := c.Store.Find(ctx, q)
			if err != nil {
				return err
			}
			for _, m := range page.Messages {
				more = each(m) && more
			}
			left -= len(page.Messages)
			q.Cursor = page.Cursor
			more = more && page.Cursor != ""
		}
		cursor = q.Cursor
		return nil
	})
	return cursor, err
}

// withCursor returns the address of another page of a search.
func withCursor(values url.Values, cursor string) string {
	for name, list := range values {
		if name == "cursor" || len(list) == 1 && list[0] == "" {
			delete(values, name)
		}
	}
	if cursor != "" {
		values.Set("cursor", cursor)
	}
	if len(values) == 0 {
		return "/"
	}
	return "/?" + values.Encode()
}
