package config

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// syntaxError says why a file is not one YAML document of keys.
type syntaxError struct {
	line    int // 0 when unknown
	message string
}

// parseYAML returns the root mapping of a document. It works on the syntax tree and does
// not decode into the struct: a decoder stops at the first error, and all must be
// reported.
func parseYAML(source string) (rawValue, *syntaxError) {
	tree, err := parser.ParseBytes([]byte(source), 0)
	if err != nil {
		var at yaml.Error
		if errors.As(err, &at) && at.GetToken() != nil {
			return rawValue{}, &syntaxError{line: at.GetToken().Position.Line, message: at.GetMessage()}
		}
		return rawValue{}, &syntaxError{message: err.Error()}
	}
	var root rawValue
	for i, document := range tree.Docs {
		if document.Body == nil { // only comments
			continue
		}
		w := readNode(document.Body)
		switch {
		case i > 0:
			return rawValue{}, &syntaxError{line: w.line, message: "a second document begins"}
		case w.kind != kindMapping && w.kind != kindNone:
			return rawValue{}, &syntaxError{line: w.line, message: "got " + w.describe()}
		}
		root = w
	}
	return root, nil
}

// readNode converts a node of the syntax tree.
func readNode(node ast.Node) rawValue {
	if node == nil {
		return rawValue{kind: kindNone}
	}
	token := node.GetToken()
	w := rawValue{line: token.Position.Line, text: token.Value}
	switch n := node.(type) {
	case *ast.MappingNode:
		w.kind = kindMapping
		for _, entry := range n.Values {
			w.fields = append(w.fields, readEntry(entry))
		}
	case *ast.MappingValueNode:
		w.kind = kindMapping
		w.fields = []field{readEntry(n)}
	case *ast.SequenceNode:
		w.kind = kindList
		for _, item := range n.Values {
			w.items = append(w.items, readNode(item))
		}
	case *ast.StringNode:
		w.kind, w.text = kindString, n.Value
	case *ast.LiteralNode:
		w.kind, w.text = kindString, fmt.Sprint(n.GetValue())
	case *ast.IntegerNode:
		w.kind = kindInt
	case *ast.FloatNode:
		w.kind = kindFraction
	case *ast.BoolNode:
		w.kind, w.text = kindBool, strconv.FormatBool(n.Value)
	case *ast.NullNode:
		w.kind = kindNone
	case *ast.AliasNode:
		w.kind, w.text = kindOther, n.String()
		w.note = "what begins with * needs quotes: " + strconv.Quote(n.String())
	case *ast.AnchorNode, *ast.TagNode:
		w.kind, w.note = kindOther, "anchors and tags are not read"
	default: // infinity, no number
		w.kind = kindOther
	}
	return w
}

func readEntry(entry *ast.MappingValueNode) field {
	key := entry.Key.GetToken()
	return field{name: key.Value, line: key.Position.Line, value: readNode(entry.Value)}
}
