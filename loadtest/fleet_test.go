package main

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/loadtest/process"
	"sluice/loadtest/stack"
)

// shared owns the servers. It ends with the tests of the package.
var shared stack.Package

// fleetServers are a MinIO and a Kafka. Each test has names of its own in them; those
// that stop the servers do not run in parallel with others.
var fleetServers struct {
	once  sync.Once
	err   error
	store *stack.MinIOServer
	log   *stack.KafkaServer
	named atomic.Int64
}

// servers returns the servers of the fleet, which it starts for the first test. What a
// test that failed has left paused or dead serves again.
func servers(t *testing.T) (*stack.MinIOServer, *stack.KafkaServer) {
	t.Helper()
	f := &fleetServers
	f.once.Do(func() {
		f.err = shared.Share(func(t testing.TB) { f.store, f.log = stack.MinIO(t), stack.Kafka(t) })
	})
	if f.err != nil {
		t.Fatal(f.err)
	}
	for _, s := range []*stack.Server{f.store.Server, f.log.Server} {
		asking, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		err := s.Healthy(asking)
		cancel()
		if err == nil {
			continue
		}
		if err := s.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	return f.store, f.log
}

// ownNames returns a topic and a bucket that nobody else uses.
func ownNames() (topic, bucket string) {
	number := strconv.FormatInt(fleetServers.named.Add(1), 10)
	return process.Topic + "." + number, "mail-" + number
}

// TestFleet does the end-to-end tests again on MinIO and Kafka, each with a
// bucket and a topic of its own.
func TestFleet(t *testing.T) {
	needs(t, "java")
	store, log := servers(t)
	newFleet := func(t *testing.T) *process.Sluice {
		t.Helper()
		gateway, err := process.NewSluice(gatewayBinary, t.TempDir(), process.Fleet)
		if err != nil {
			t.Fatal(err)
		}
		gateway.Events = log.Bootstrap
		gateway.S3 = process.S3{Endpoint: store.Endpoint, AccessKey: store.AccessKey, SecretKey: store.SecretKey}
		gateway.Topic, gateway.S3.Bucket = ownNames()
		return gateway
	}
	for _, test := range []struct {
		name string
		run  func(*testing.T, gatewayMaker)
	}{
		{"odd mails", takesOddMails},
		{"first line", takesFirstLines},
		{"smtp-source", takesSMTPSource},
		{"curl", takesCurl},
		{"Python smtplib", takesPython},
		{"swaks and kcat", takesSwaks},
		{"Postfix", takesPostfix},
		{"packs", packsRead},
		{"verified mail", verifies},
		{"verified packs", verifiedPacks},
		{"index", findsOnPostgres},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, newFleet)
		})
	}
}
