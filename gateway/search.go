package main

import (
	"context"
	"errors"
	"iter"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"sluice/gateway/adapters"
	"sluice/gateway/config"
	"sluice/index"
)

// searchFlags are the words of a search. Their help is that of index.Parameters.
type searchFlags struct {
	From       []string `placeholder:"WORDS" sep:"none" help:"${find_from}"`
	To         []string `placeholder:"WORDS" sep:"none" help:"${find_to}"`
	Subject    []string `placeholder:"WORDS" sep:"none" help:"${find_subject}"`
	Text       []string `placeholder:"WORDS" sep:"none" help:"${find_text}"`
	Attachment []string `placeholder:"WORDS" sep:"none" help:"${find_attachment}"`
	Client     []string `placeholder:"IP" sep:"none" help:"${find_client}"`
	Helo       []string `placeholder:"NAME" sep:"none" help:"${find_helo}"`
	MessageID  []string `name:"message-id" placeholder:"ID" sep:"none" help:"${find_message_id}"`
	Verdict    []string `placeholder:"NAME=RESULT" sep:"none" help:"${find_verdict}"`
	Since      []string `placeholder:"TIME" sep:"none" help:"${find_since}"`
	Until      []string `placeholder:"TIME" sep:"none" help:"${find_until}"`
	Limit      []string `placeholder:"N" sep:"none" help:"${find_limit}"`
	Cursor     []string `placeholder:"CURSOR" sep:"none" help:"${find_cursor}"`
}

// searchHelp has the help of the words of a search.
func searchHelp() kong.Vars {
	help := kong.Vars{}
	for _, p := range index.Parameters {
		help["find_"+strings.ReplaceAll(p.Name, "-", "_")] = p.Help
	}
	return help
}

func (f *searchFlags) values() url.Values {
	return url.Values{
		"from": f.From, "to": f.To, "subject": f.Subject, "text": f.Text, "attachment": f.Attachment,
		"client": f.Client, "helo": f.Helo, "message-id": f.MessageID, "verdict": f.Verdict,
		"since": f.Since, "until": f.Until, "limit": f.Limit, "cursor": f.Cursor,
	}
}

// usageError is an error of the words of a command.
type usageError struct{ error }

// query returns the search with these words.
func (f *searchFlags) query(now time.Time) (*index.Query, error) {
	q, err := index.ParseQuery(f.values(), now)
	if err != nil {
		return nil, usageError{errors.New("--" + err.Error())}
	}
	return q, nil
}

// databaseTime bounds one answer of the index.
const databaseTime = time.Minute

// openIndex opens the index for searches.
func openIndex(ctx context.Context, c *config.Config) (index.Store, error) {
	ctx, cancel := context.WithTimeout(ctx, databaseTime)
	defer cancel()
	return adapters.OpenIndexReader(ctx, c)
}

// findPage returns one page of what is found.
func findPage(ctx context.Context, store index.Store, q *index.Query) (index.Page, error) {
	ctx, cancel := context.WithTimeout(ctx, databaseTime)
	defer cancel()
	page, err := store.Find(ctx, q)
	if errors.Is(err, index.ErrCursor) {
		err = usageError{errors.New("--cursor: must be one that find has shown for this search, is " + strconv.Quote(printable(q.Cursor)))}
	}
	return page, err
}

// findAll yields all messages that are found, at most most of them unless that is 0. It
// ends with an error if there is one.
func findAll(ctx context.Context, store index.Store, q index.Query, most int) iter.Seq2[*index.Message, error] {
	return func(yield func(*index.Message, error) bool) {
		for n := 0; ; {
			q.Limit = exportPage
			if most > 0 {
				q.Limit = min(q.Limit, most-n)
			}
			page, err := findPage(ctx, store, &q)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, m := range page.Messages {
				if !yield(m, nil) {
					return
				}
			}
			n += len(page.Messages)
			if q.Cursor = page.Cursor; q.Cursor == "" || most > 0 && n >= most {
				return
			}
		}
	}
}

// exportPage is how many rows are asked for at a time by who wants all.
const exportPage = 200
