package main

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"sluice/loadtest/client"
)

// firstLineTexts are texts whose first line could be read as a part of the field that
// stands above it, or as the end of a header, and some others; each with what Sluice
// writes between its field and the text.
func firstLineTexts() map[string]string {
	lines := strings.Repeat(strings.Repeat("x", 78)+"\r\n", 90_000) // more than a part
	return map[string]string{
		"":                                                "",
		"\r\n":                                            "",
		"\r\nbody\r\n":                                    "",
		"Subject: mine\r\n":                               "",
		"Subject: mine\r\n\r\nbody\r\n":                   "",
		"From: <a@example.org>\r\n\r\nbody\r\n":           "",
		"Subject : mine\r\n\r\nbody\r\n":                  "",
		".\r\n":                                           "\r\n",
		"..\r\n.\r\n...\r\n":                              "\r\n",
		": mine\r\nSubject: mine\r\n":                     "\r\n",
		" \r\nSubject: mine\r\n":                          "\r\n",
		" (forged)\r\nSubject: mine\r\n":                  "\r\n",
		"\tby mx.example.com; x\r\n\r\nbody\r\n":          "\r\n",
		" " + lines:                                       "\r\n",
		"Grüße\r\nSubject: mine\r\n":                      "\r\n",
		"\xe4: mine\r\n\r\nbody\r\n":                      "\r\n",
		"no field\r\nSubject: mine\r\n\r\nbody\r\n":       "\r\n",
		strings.Repeat("long", 2000) + ": mine\r\n":       "\r\n",
		" " + strings.Repeat("long", 2000) + "\r\n":       "\r\n",
		"From a Thu Jan  1 00:00:00 1970\r\nX: y\r\n":     "X-Mailbox-Line: ",
		">From a Thu Jan  1 1970\r\nSubject: mine\r\n":    "X-Mailbox-Line: ",
		"From a " + strings.Repeat("long", 2000) + "\r\n": "X-Mailbox-Line: ",
	}
}

// pythonFields gives the fields that Python's parser finds in each object, by the old
// policy and by the new one.
const pythonFields = `
import base64, email, email.policy, json, sys
def fields(octets, policy):
    message = email.message_from_bytes(octets, policy=policy)
    return [[name, str(value)] for name, value in message.raw_items()]
json.dump({id: [fields(base64.b64decode(object), policy) for policy in (email.policy.compat32, email.policy.default)]
    for id, object in json.load(sys.stdin).items()}, sys.stdout)
`

// Whatever a text begins with, Python's parser reads our field as we wrote it.
func TestFirstLine(t *testing.T) {
	t.Parallel()
	takesFirstLines(t, newGateway)
}

func takesFirstLines(t *testing.T, newGateway gatewayMaker) {
	needs(t, "python3")
	gateway := newGateway(t)
	startGateway(t, gateway)
	c, err := client.Dial(t.Context(), gateway.SMTP)
	if err != nil {
		t.Fatal(err)
	}
	above := map[string]string{} // by id
	defer c.Close()
	for text, want := range firstLineTexts() {
		receipt, err := c.Send(&client.Mail{From: "sender@example.org", To: []string{"recipient@example.net"}, Content: []byte(text)})
		if err != nil {
			t.Fatalf("%.40q: %v", text, err)
		}
		above[receipt.ID] = want
	}
	if err := c.Quit(); err != nil {
		t.Error(err)
	}
	messages, events := inventory(t, gateway)
	objects := map[string][]byte{}
	for id, e := range events {
		object := readObject(t, gateway, e)
		objects[id] = object[:min(len(object), 64<<10)] // far behind the first line
	}
	for id, parses := range parsedByPython(t, objects) {
		added := string(objects[id][:events[id].Blob.Added])
		field, found := strings.CutSuffix(added, above[id])
		if !found || !strings.HasSuffix(field, "\r\n") {
			t.Errorf("above %.40q: %q, want %q last", messages[id], added, above[id])
			continue
		}
		want := strings.TrimSuffix(strings.TrimPrefix(field, "Received: "), "\r\n")
		for _, fields := range parses {
			if len(fields) == 0 || fields[0][0] != "Received" || fields[0][1] != want {
				t.Errorf("above %.40q: read as %.400q, want %q first", messages[id], fields, want)
				continue
			}
			if above[id] == "\r\n" && len(fields) > 1 {
				t.Errorf("above %.40q: fields behind a blank line: %.400q", messages[id], fields)
			}
			if above[id] == "X-Mailbox-Line: " && fields[1][0] != "X-Mailbox-Line" {
				t.Errorf("above %.40q: read as %.400q", messages[id], fields)
			}
		}
	}
	if len(objects) != len(above) {
		t.Errorf("%d objects of %d texts", len(objects), len(above))
	}
}

// parsedByPython gives the fields of each object, as name and value, by policy.
func parsedByPython(t *testing.T, objects map[string][]byte) map[string][][][2]string {
	t.Helper()
	input, err := json.Marshal(objects)
	if err != nil {
		t.Fatal(err)
	}
	python := exec.CommandContext(t.Context(), "python3", "-c", pythonFields)
	var stderr bytes.Buffer
	python.Stdin, python.Stderr = bytes.NewReader(input), &stderr
	out, err := python.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.Bytes())
	}
	var parsed map[string][][][2]string
	if err := json.Unmarshal(out, &parsed); err != nil {
		t.Fatal(err)
	}
	return parsed
}
