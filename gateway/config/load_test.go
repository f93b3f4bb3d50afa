package config

import (
	"strings"
	"testing"
)

// TestRoles: a configuration must be good for what the process does with it, and for no
// more. A consumer of the events takes no mail, but it reads the same store and log.
func TestRoles(t *testing.T) {
	for _, c := range []struct {
		name, file                  string
		forServe, forIndex, forRead string // in the error, "" for none
	}{
		{"nobody's mail is accepted", "hostname: mx1.example.net\n", "accept.domains", "index.store", ""},
		{"a message that the memory cannot hold", "accept: {any: true}\nlimits: {message_size: 2GiB}\nmemory: {bodies: 8MiB}\n", "memory.bodies", "index.store", ""},
		{"two servers at one address", "accept: {any: true}\nadmin: {address: \"127.0.0.1:2525\"}\n", "admin.address", "index.store", ""},
		{"a bucket without a key", "accept: {any: true}\nstore: {kind: s3}\n", "store.s3.access_key", "store.s3.access_key", "store.s3.access_key"},
		{"a user without a password", "accept: {any: true}\nevents: {kind: kafka, kafka: {sasl: {mechanism: PLAIN, username: u}}}\n",
			"events.kafka.sasl.password", "events.kafka.sasl.password", "events.kafka.sasl.password"},
		{"a store that keeps nothing", "accept: {any: true}\nstore: {kind: discard}\n", "store.kind", "store.kind", "store.kind"},
		{"a key that is out of bounds", "accept: {any: true}\nlimits: {recipients: 1}\n", "limits.recipients", "limits.recipients", "limits.recipients"},
		{"an index on a server that nobody names", "accept: {any: true}\nindex: {store: postgres}\n", "index.postgres.url", "index.postgres.url", "index.postgres.url"},
		{"who fills an index takes no mail", "index: {store: postgres, postgres: {url: \"postgres://db.example.net/mail\"}}\n", "accept.domains", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := file(t, c.file)
			for role, want := range map[Role]string{ForServe: c.forServe, ForIndex: c.forIndex, ForRead: c.forRead} {
				_, err := LoadOn(testMachine, Sources{File: path}, role)
				switch {
				case want == "" && err != nil:
					t.Errorf("role %d: %v", role, err)
				case want != "" && (err == nil || !strings.Contains(err.Error(), ": "+want+":")):
					t.Errorf("role %d: %q is not in %v", role, want, err)
				}
			}
		})
	}
}
