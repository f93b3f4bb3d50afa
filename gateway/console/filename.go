package console

import (
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxFilename bounds the name of a download, in bytes of UTF-8: file systems have 255.
const maxFilename = 200

// filename returns a name that a stranger chose as one that is safe to save a file by, or
// fallback if nothing of it is.
func filename(name, fallback string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError || hidden(r) || r == '\u200c' || r == '\u200d':
			return -1
		case unicode.IsSpace(r):
			return ' '
		case strings.ContainsRune(`<>:"|?*%;`, r):
			return '_'
		}
		return r
	}, name)
	name = strings.Trim(name, ". ")
	if len(name) > maxFilename {
		ext := path.Ext(name)
		if len(ext) > 20 {
			ext = ""
		}
		end := maxFilename - len(ext)
		for !utf8.RuneStart(name[end]) {
			end--
		}
		name = name[:end] + ext
	}
	if name == "" {
		return fallback
	}
	if stem, _, _ := strings.Cut(strings.ToUpper(name), "."); device(strings.TrimSpace(stem)) {
		name = "_" + name
	}
	return name
}

// device reports whether Windows opens a device by this name.
func device(stem string) bool {
	switch stem {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	}
	number, ok := strings.CutPrefix(stem, "COM")
	if !ok {
		number, ok = strings.CutPrefix(stem, "LPT")
	}
	return ok && utf8.RuneCountInString(number) == 1
}

// disposition returns the Content-Disposition of a download: the name in ASCII for old
// clients (RFC 6266 §4.3) and as it is (RFC 8187).
func disposition(name string) string {
	ascii, encoded := strings.Builder{}, strings.Builder{}
	for _, r := range name {
		if r >= utf8.RuneSelf {
			r = '_'
		}
		ascii.WriteRune(r)
	}
	for i := range len(name) {
		c := name[i]
		if c < utf8.RuneSelf && (unicode.IsLetter(rune(c)) || unicode.IsDigit(rune(c)) || strings.IndexByte("!#$&+-.^_`|~", c) >= 0) {
			encoded.WriteByte(c)
			continue
		}
		const digits = "0123456789ABCDEF"
		encoded.WriteByte('%')
		encoded.WriteByte(digits[c>>4])
		encoded.WriteByte(digits[c&15])
	}
	return `attachment; filename="` + ascii.String() + `"; filename*=UTF-8''` + encoded.String()
}
