package content

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"sluice/index"
	"sluice/internal/testkit"
)

// opinion is what testdata/email_package.py says about a message.
type opinion struct {
	Error string `json:"error"`
	Parts []struct {
		Number string `json:"number"`
		Type   string `json:"type"`
		Name   string `json:"name"`
		Size   int64  `json:"size"`
		SHA256 string `json:"sha256"`
	} `json:"parts"`
	Subject string     `json:"subject"`
	From    [][]string `json:"from"`
	To      [][]string `json:"to"`
	Cc      [][]string `json:"cc"`
	ReplyTo [][]string `json:"reply"`
}

// TestSecondOpinion compares with Python's email package. Where it sees a sample in
// another way, the sample says why.
func TestSecondOpinion(t *testing.T) {
	python := testkit.Tool(t, "python3")
	messages := map[string][]byte{}
	for _, s := range samples {
		messages[s.name] = []byte(s.bytes())
	}
	in, err := json.Marshal(messages)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(testkit.Deadline(t), python, "testdata/email_package.py")
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var opinions map[string]opinion
	if err := json.Unmarshal(out, &opinions); err != nil {
		t.Fatal(err)
	}
	for _, s := range samples {
		other := opinions[s.name]
		differences := compare(read(t, s.bytes()), &other)
		for what, said := range differences {
			if s.python[what] == "" {
				t.Errorf("%s: %s: %s", s.name, what, said)
			}
		}
		for what, why := range s.python {
			if differences[what] == "" {
				t.Errorf("%s: %s is no difference, though %s", s.name, what, why)
			}
		}
	}
}

// compare returns what is seen otherwise, and how.
func compare(c *Content, o *opinion) (differences map[string]string) {
	if o.Error != "" {
		return map[string]string{"error": o.Error}
	}
	differences = map[string]string{}
	differ := func(what string, ours, theirs any) {
		if a, b := fmt.Sprint(ours), fmt.Sprint(theirs); a != b {
			differences[what] = fmt.Sprintf("%q, Python %q", a, b)
		}
	}
	differ("parts", len(c.Parts), len(o.Parts))
	for i := range min(len(c.Parts), len(o.Parts)) {
		p, q := &c.Parts[i], &o.Parts[i]
		differ("number", p.Number, q.Number)
		differ(p.Number+" type", p.Type, q.Type)
		differ(p.Number+" name", p.Name.Text, q.Name)
		if q.SHA256 != "" {
			differ(p.Number+" bytes", fmt.Sprint(p.Size, " of ", p.SHA256), fmt.Sprint(q.Size, " of ", q.SHA256))
		}
	}
	differ("subject", strings.Join(strings.Fields(c.Header.Subject.Text), " "), o.Subject)
	differ("from", pairs(c.Header.From), o.From)
	differ("to", pairs(c.Header.To), o.To)
	differ("cc", pairs(c.Header.Cc), o.Cc)
	differ("reply-to", pairs(c.Header.ReplyTo), o.ReplyTo)
	return differences
}

func pairs(list []index.Address) [][]string {
	pairs := [][]string{}
	for _, a := range list {
		pairs = append(pairs, []string{a.Name.Text, a.Address})
	}
	return pairs
}
