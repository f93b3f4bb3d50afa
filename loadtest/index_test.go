package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"sluice/loadtest/corpus"
	"sluice/loadtest/indexed"
	"sluice/loadtest/process"
	"sluice/loadtest/stack"
)

// proof is the short form; the drill sends 10,000 mails.
var proof = indexed.Proof{Corpus: corpus.Corpus{Seed: 25}, Mails: 150, Sessions: 8, Searches: 300, Patience: time.Minute}

// TestIndex finds the mails of a corpus on the embedded default, exactly, by the API and by
// the commands.
func TestIndex(t *testing.T) {
	t.Parallel()
	needs(t)
	gateway := newGateway(t)
	gateway.Config = "index: {store: sqlite}\n"
	setPacking(gateway, false)
	startGateway(t, gateway)
	finds(t, gateway, gateway.Admin)
}

// findsOnPostgres does the same with indexers of their own, from packs.
func findsOnPostgres(t *testing.T, newGateway gatewayMaker) {
	needs(t)
	gateway := newGateway(t)
	gateway.Config = process.PostgresIndex(stack.Postgres(t).URL, gateway.Topic+".indexer")
	startGateway(t, gateway)
	admin, err := process.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	indexer, err := gateway.StartIndexer(t.Context(), admin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { endGateway(t, indexer) })
	finds(t, gateway, admin)
}

func finds(t *testing.T, gateway *process.Sluice, admin string) {
	t.Helper()
	x := &indexed.Index{Address: admin}
	result, sent, err := proof.Run(t.Context(), gateway, x)
	if err != nil {
		t.Fatal(err)
	}
	if t.Log(result); len(result.Wrong) > 0 {
		t.Fail()
	}
	for id, number := range sent.IDs {
		if number%75 == 1 {
			commandsFind(t, gateway, x, id, sent.Mails[number])
		}
	}
}

// commandsFind compares what find and show print of a message with what the API says.
func commandsFind(t *testing.T, gateway *process.Sluice, x *indexed.Index, id string, truth *corpus.Truth) {
	t.Helper()
	settings, err := gateway.Args() // the first is the command
	if err != nil {
		t.Fatal(err)
	}
	word := fmt.Sprintf("s%ds", truth.Number)
	var want []string
	err = x.Find(t.Context(), url.Values{"subject": {word}}, func(raw json.RawMessage) error {
		want = append(want, compact(t, string(raw)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"find", "--json", "--subject", word}, {"show", "--json", id}} {
		command := exec.CommandContext(t.Context(), gateway.Binary, append(args, settings[1:]...)...)
		var said strings.Builder
		command.Stderr = &said
		out, err := command.Output()
		if err != nil || len(want) != 1 || compact(t, string(out)) != want[0] {
			t.Errorf("%q prints %s and %q (%v), the API has %q", args, out, said.String(), err, want)
		}
	}
}

// compact returns JSON in the one form of Go's encoder.
func compact(t *testing.T, text string) string {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	again, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(again)
}
