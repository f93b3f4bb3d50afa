package config

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// syntaxError is why a file is not one YAML document of keys.
type syntaxError struct {
	line    int // 0 when unknown
	message string
}

// parseYAML gives a document's root section. It works on the syntax tree and
// decodes nothing into the struct: a decoder ends at the first thing that is
// wrong, and all of them are to be reported.
func parseYAML(source string) (written, *syntaxError) {
	tree, err := parser.ParseBytes([]byte(source), 0)
	if err != nil {
		var at yaml.Error
		if errors.As(err, &at) && at.GetToken() != nil {
			return written{}, &syntaxError{line: at.GetToken().Position.Line, message: at.GetMessage()}
		}
		return written{}, &syntaxError{message: err.Error()}
	}
	var root written
	for i, document := range tree.Docs {
		if document.Body == nil { // nothing but comments
			continue
		}
		w := readNode(document.Body)
		switch {
		case i > 0:
			return written{}, &syntaxError{line: w.line, message: "a second document begins"}
		case w.kind != asSection && w.kind != asNothing:
			return written{}, &syntaxError{line: w.line, message: "got " + w.show()}
		}
		root = w
	}
	return root, nil
}

// readNode is a node of the syntax tree as what was written.
func readNode(node ast.Node) written {
	if node == nil {
		return written{kind: asNothing}
	}
	token := node.GetToken()
	w := written{line: token.Position.Line, text: token.Value}
	switch n := node.(type) {
	case *ast.MappingNode:
		w.kind = asSection
		for _, entry := range n.Values {
			w.fields = append(w.fields, readEntry(entry))
		}
	case *ast.MappingValueNode:
		w.kind = asSection
		w.fields = []field{readEntry(n)}
	case *ast.SequenceNode:
		w.kind = asList
		for _, item := range n.Values {
			w.items = append(w.items, readNode(item))
		}
	case *ast.StringNode:
		w.kind, w.text = asText, n.Value
	case *ast.LiteralNode:
		w.kind, w.text = asText, fmt.Sprint(n.GetValue())
	case *ast.IntegerNode:
		w.kind = asNumber
	case *ast.BoolNode:
		w.kind, w.text = asTruth, strconv.FormatBool(n.Value)
	case *ast.NullNode:
		w.kind = asNothing
	case *ast.AliasNode:
		w.kind, w.text = asOther, n.String()
		w.note = "what begins with * needs quotes: " + strconv.Quote(n.String())
	case *ast.AnchorNode, *ast.TagNode:
		w.kind, w.note = asOther, "anchors and tags are not read"
	default: // fractions, infinity
		w.kind = asOther
	}
	return w
}

func readEntry(entry *ast.MappingValueNode) field {
	key := entry.Key.GetToken()
	return field{name: key.Value, line: key.Position.Line, value: readNode(entry.Value)}
}
