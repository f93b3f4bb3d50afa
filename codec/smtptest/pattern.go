package smtptest

import (
	"fmt"
	"regexp"
	"strings"
)

// pattern is the expectation of an S line: a text, parts with any text between, or a
// regular expression.
type pattern struct {
	text  string
	parts []string // text split at "*"; nil without "*"
	expr  *regexp.Regexp
}

func parsePattern(text string) (pattern, error) {
	if source, ok := strings.CutPrefix(text, "~ "); ok {
		expr, err := regexp.Compile(`\A(?:` + source + `)\z`)
		if err != nil {
			return pattern{}, fmt.Errorf("regular expression %q: %w", source, err)
		}
		return pattern{text: text, expr: expr}, nil
	}
	p := pattern{text: text}
	if strings.Contains(text, "*") {
		p.parts = strings.Split(text, "*")
	}
	return p, nil
}

func (p *pattern) match(line string) bool {
	switch {
	case p.expr != nil:
		return p.expr.MatchString(line)
	case p.parts == nil:
		return line == p.text
	}
	first, last := p.parts[0], p.parts[len(p.parts)-1]
	line, ok := strings.CutPrefix(line, first)
	if !ok || !strings.HasSuffix(line, last) {
		return false
	}
	line = line[:len(line)-len(last)]
	// For each part in the middle the first match is as good as any other.
	for _, part := range p.parts[1 : len(p.parts)-1] {
		if _, line, ok = strings.Cut(line, part); !ok {
			return false
		}
	}
	return true
}
