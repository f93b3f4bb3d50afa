package main

import (
	"strconv"
	"testing"

	"sluice/loadtest/process"
	"sluice/loadtest/stack"
)

// TestFleet does the end-to-end tests again on MinIO and Kafka, each with a
// bucket and a topic of its own.
func TestFleet(t *testing.T) {
	needs(t, "java")
	store, log := stack.MinIO(t), stack.Kafka(t)
	made := 0
	newFleet := func(t *testing.T) *process.Sluice {
		t.Helper()
		gateway, err := process.NewSluice(gatewayBinary, t.TempDir(), process.Fleet)
		if err != nil {
			t.Fatal(err)
		}
		made++
		gateway.Topic = "mail.received." + strconv.Itoa(made)
		gateway.Events = log.Bootstrap
		gateway.S3 = process.S3{
			Endpoint: store.Endpoint, Bucket: "mail-" + strconv.Itoa(made),
			AccessKey: store.AccessKey, SecretKey: store.SecretKey,
		}
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
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, newFleet) })
	}
}
