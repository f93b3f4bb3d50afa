package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"sluice/index"
	"sluice/internal/testkit"
)

// TestDownloads sends mail and parts as files that no browser opens.
func TestDownloads(t *testing.T) {
	s, m := small(t)
	h := Handler(s.options())
	body := s.bodies[m.Blob.Key]
	path := "/messages/" + m.ID.String()
	for _, c := range []struct {
		target, name, body string
		status             int
	}{
		{path + "/raw", m.ID.String() + ".eml", body, 200},
		{path + "/parts/1", m.ID.String() + "-1.txt", "Please pay <b>now</b>.", 200},
		{path + "/parts/2", "Rechnung Mai.pdf", pdf, 200},
		{path + "/parts/3", "", "", 404},
		{path + "/parts/..%2f..%2fetc", "", "", 404},
		{"/messages/x/raw", "", "", 404},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			w := ask(h, method, c.target)
			if w.Code != c.status {
				t.Errorf("%s %s: %d", method, c.target, w.Code)
			}
			protected(t, w.Header())
			if c.status != http.StatusOK {
				continue
			}
			kind, parameters, err := mime.ParseMediaType(w.Header().Get("Content-Disposition"))
			if err != nil || kind != "attachment" || parameters["filename"] != c.name {
				t.Errorf("%s: %v, %q, %v", c.target, kind, parameters, err)
			}
			if got := w.Header().Get("Content-Type"); got != "application/octet-stream" {
				t.Errorf("%s: %s", c.target, got)
			}
			if got := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(got, "sandbox;") {
				t.Errorf("%s: %s", c.target, got)
			}
			if method == "GET" && w.Body.String() != c.body {
				t.Errorf("%s: %q", c.target, w.Body)
			}
			if method == "HEAD" && w.Body.Len() > 0 {
				t.Errorf("%s: HEAD has a body", c.target)
			}
		}
	}
}

// TestDownloadFaults answers with the right status as long as nothing was sent.
func TestDownloadFaults(t *testing.T) {
	s, m := small(t)
	h := Handler(s.options())
	for _, c := range []struct {
		open   func() (io.ReadCloser, error)
		status int
	}{
		{func() (io.ReadCloser, error) { return nil, fmt.Errorf("get: %w", fs.ErrNotExist) }, 404},
		{func() (io.ReadCloser, error) { return nil, errors.New("refused") }, 503},
		{func() (io.ReadCloser, error) { return io.NopCloser(iotest.ErrReader(errors.New("reset"))), nil }, 503},
	} {
		s.open = c.open
		for _, target := range []string{"/raw", "/parts/2"} {
			w := ask(h, "GET", "/messages/"+m.ID.String()+target)
			if w.Code != c.status || w.Header().Get("Content-Disposition") != "" || !strings.Contains(w.Header().Get("Content-Type"), "text/html") {
				t.Errorf("%s: %d %v", target, w.Code, w.Header())
			}
		}
	}
}

// TestCutOff breaks the connection when a message cannot be read to its end, so that
// nobody takes what came for the whole.
func TestCutOff(t *testing.T) {
	s, m := small(t)
	server := httptest.NewServer(Handler(s.options()))
	defer server.Close()
	s.open = func() (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader(strings.TrimSuffix(multipart("", strings.Repeat("x", 300_000)), "--x--\r\n")), iotest.ErrReader(errors.New("reset")))), nil
	}
	m.Blob.Length = 1 << 20
	for _, target := range []string{"/raw", "/parts/2"} {
		response, err := http.Get(server.URL + "/messages/" + m.ID.String() + target)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if response.StatusCode != http.StatusOK || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %d, %v", target, response.StatusCode, err)
		}
	}
}

// TestDownloadsAreBounded has a few downloads run at once. A client that goes gives its
// place back.
func TestDownloadsAreBounded(t *testing.T) {
	s, m := small(t)
	m.Blob.Length = 1 << 40
	s.open = func() (io.ReadCloser, error) { return io.NopCloser(endless{}), nil }
	server := httptest.NewServer(Handler(s.options()))
	defer server.Close()
	var conns []net.Conn
	for range maxReads {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns = append(conns, conn)
		fmt.Fprintf(conn, "GET /messages/%s/raw HTTP/1.1\r\nHost: localhost\r\n\r\n", m.ID)
		if _, err := io.ReadFull(conn, make([]byte, 17)); err != nil {
			t.Fatal(err)
		}
	}
	url := server.URL + "/messages/" + m.ID.String() + "/raw"
	response, err := http.Head(url)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
		t.Errorf("%d %v", response.StatusCode, response.Header)
	}
	conns[0].Close()
	testkit.Eventually(t, "a place", func() bool {
		response, err := http.Head(url)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

// TestStalled ends downloads of a client that takes nothing, and of a store that gives
// nothing, whose places are free then.
func TestStalled(t *testing.T) {
	s, m := small(t)
	m.Blob.Length = 1 << 40
	c := newConsole(s.options())
	c.chunkTime = 50 * time.Millisecond
	server := httptest.NewServer(c.handler())
	defer server.Close()
	for name, open := range map[string]func(context.Context) io.Reader{
		"client": func(context.Context) io.Reader { return endless{} },
		"store": func(ctx context.Context) io.Reader {
			return io.MultiReader(strings.NewReader("a: b\r\n"), stalled{ctx})
		},
	} {
		opened := make(chan struct{})
		c.Open = func(ctx context.Context, _ index.Blob) (io.ReadCloser, error) {
			close(opened)
			return io.NopCloser(open(ctx)), nil
		}
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET /messages/%s/raw HTTP/1.1\r\nHost: localhost\r\n\r\n", m.ID)
		<-opened
		testkit.Eventually(t, "the place of a stalled "+name, func() bool { return len(c.reads) == 0 })
		conn.Close()
	}
}

// stalled reads nothing until its context ends.
type stalled struct{ ctx context.Context }

func (s stalled) Read([]byte) (int, error) {
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

// endless reads zeros.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestProgress gives each chunk a deadline of its own.
func TestProgress(t *testing.T) {
	s, m := small(t)
	s.bodies[m.Blob.Key] = strings.Repeat("x", 10*chunk+1)
	m.Blob.Length = 10*chunk + 1
	w := &slowWriter{ResponseRecorder: httptest.NewRecorder()}
	r := httptest.NewRequest("GET", "/messages/"+m.ID.String()+"/raw", nil)
	r.Host = "localhost"
	Handler(s.options()).ServeHTTP(w, r)
	if w.deadlines != 11 || w.Body.Len() != 10*chunk+1 {
		t.Errorf("%d deadlines for %d bytes", w.deadlines, w.Body.Len())
	}
}

type slowWriter struct {
	*httptest.ResponseRecorder
	deadlines int
}

// SetWriteDeadline is what http.ResponseController calls.
func (w *slowWriter) SetWriteDeadline(when time.Time) error {
	w.deadlines++
	return nil
}

// TestFilename makes names safe that a stranger chose.
func TestFilename(t *testing.T) {
	long := strings.Repeat("é", 300)
	for name, want := range map[string]string{
		"report.pdf": "report.pdf", "請求書 5月.pdf": "請求書 5月.pdf", "": "f", ".": "f", "..": "f", "/": "f", "\u202e": "f", " . ": "f", "\xff": "f",
		"../../etc/passwd": "passwd", `C:\Users\x\a.txt`: "a.txt", ".bashrc": "bashrc", "a\r\nSet-Cookie: x": "aSet-Cookie_ x", "inv\u202efdp.exe": "invfdp.exe",
		`a"b;c%41<>|?*.txt`: "a_b_c_41_____.txt", "con.txt": "_con.txt", "COM1": "_COM1", "com": "com", "LPT¹.x": "_LPT¹.x", "a\u00a0b\tc": "a bc", "x.pdf . .": "x.pdf",
		long + ".pdf": strings.Repeat("é", 98) + ".pdf", "a." + long: "a." + strings.Repeat("é", 99),
	} {
		got := filename(name, "f")
		if got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
		_, parameters, err := mime.ParseMediaType(disposition(got))
		if err != nil || parameters["filename"] != got {
			t.Errorf("%q: %s: %q, %v", name, disposition(got), parameters, err)
		}
	}
	if got := disposition("é'().pdf"); got != `attachment; filename="_'().pdf"; filename*=UTF-8''%C3%A9%27%28%29.pdf` {
		t.Error(got)
	}
}

// FuzzFilename wants names that stay in their folder and in their field.
func FuzzFilename(f *testing.F) {
	for _, name := range []string{"a.pdf", "../x", "請求書", "con", "\x00", "\u202e.exe", strings.Repeat("é", 300)} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got := filename(name, "f")
		if got == "" || len(got) > maxFilename+1 || strings.ContainsAny(got, "/\\\"\r\n\x00") || strings.HasPrefix(got, ".") {
			t.Errorf("%q: %q", name, got)
		}
		if _, parameters, err := mime.ParseMediaType(disposition(got)); err != nil || parameters["filename"] != got {
			t.Errorf("%q: %s: %v", name, disposition(got), err)
		}
	})
}
