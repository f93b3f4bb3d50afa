package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"net/http"
	"strconv"
	"time"
)

//go:embed templates/*.html
var templateFiles embed.FS

// pages are the templates. What strangers wrote passes v, or visibleLines before.
var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"v":    visible,
	"size": size,
	"date": date,
	"iso":  func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
}).ParseFS(templateFiles, "templates/*.html"))

// render answers with a page.
func render(w http.ResponseWriter, status int, name string, view any) {
	var body bytes.Buffer
	if err := pages.ExecuteTemplate(&body, name, view); err != nil {
		panic(err) // a template that does not fit its view
	}
	send(w, status, "text/html; charset=utf-8", body.Bytes())
}

// send answers with a body.
func send(w http.ResponseWriter, status int, mediaType string, body []byte) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body)
}

//go:embed static
var staticFiles embed.FS

// asset is a file that pages are made with, the same for everybody.
type asset struct {
	mediaType, tag string
	body           []byte
}

var static = map[string]*asset{
	"/console.css": load("console.css", "text/css; charset=utf-8"),
	"/console.js":  load("console.js", "text/javascript; charset=utf-8"),
	"/console.svg": load("console.svg", "image/svg+xml"),
}

func load(name, mediaType string) *asset {
	body, err := staticFiles.ReadFile("static/" + name)
	if err != nil {
		panic(err) // it is embedded
	}
	sum := sha256.Sum256(body)
	return &asset{mediaType: mediaType, tag: `"` + hex.EncodeToString(sum[:8]) + `"`, body: body}
}

// ServeHTTP answers with the file.
func (a *asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", a.tag)
	if r.Header.Get("If-None-Match") == a.tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	send(w, http.StatusOK, a.mediaType, a.body)
}
