package main

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/internal/testkit"
	"sluice/loadtest/process"
)

// strangers sends mails of domains that nobody has asked for before.
type strangers struct {
	gateway *process.Sluice
	domains atomic.Int64
	results sync.Map // of DMARC by id, as they are to be; of a mail that may have any, ""
}

// send sends a mail that is to have a result of DMARC.
func (s *strangers) send(t *testing.T, result string) (id string) {
	t.Helper()
	author := fmt.Sprintf("a@d%d.many.test", s.domains.Add(1))
	id, err := (&verified{from: author, content: text(author, "")}).send(t, s.gateway)
	if err != nil {
		t.Errorf("a mail that should have dmarc=%s: %v", result, err)
	}
	s.results.Store(id, result)
	return id
}

// TestVerifyWhileTheDNSIsAway has mail go on while unbound stands still or is dead, with
// temperror and not later than at the deadline, and its verdicts whole again afterwards.
func TestVerifyWhileTheDNSIsAway(t *testing.T) {
	t.Parallel()
	needs(t, "unbound")
	d := newMailDNS(t)
	s := &strangers{gateway: newGateway(t)}
	s.gateway.Trusted = "[192.0.2.1]"
	s.gateway.Config += fmt.Sprintf("dns: {resolvers: [%q], timeout: 1m}\nverify: {enabled: true, deadline: 1s}\n", d.Address)
	startGateway(t, s.gateway)
	passes := func(when string) {
		t.Helper()
		const pass = `sluice_verify_results_total{check="dmarc",result="pass"}`
		testkit.Eventually(t, "verdicts are whole "+when, func() bool {
			before := metric(t, s.gateway, pass)
			s.send(t, "")
			return metric(t, s.gateway, pass) > before
		})
	}
	for _, outage := range []struct {
		name        string
		begin, over func() error
	}{
		{"stopped", d.Pause, d.Resume},
		{"killed", d.Kill, d.Restart},
	} {
		passes("before it is " + outage.name)
		if err := outage.begin(); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { s.send(t, "temperror") })
		}
		all.Wait()
		if took := time.Since(began); took > 30*time.Second { // dns.timeout is a minute
			t.Errorf("%s: mail waited %s", outage.name, took)
		}
		if err := outage.over(); err != nil {
			t.Fatal(err)
		}
		passes("after it was " + outage.name)
	}

	_, events := inventory(t, s.gateway)
	sent := 0
	s.results.Range(func(id, want any) bool {
		sent++
		e := events[id.(string)]
		switch {
		case e == nil || e.Verdicts == nil:
			t.Errorf("%s has no verdict", id)
		case want != "" && (e.Verdicts.DMARC.Result != want || e.Verdicts.SPF.Result != want):
			t.Errorf("want %s: %+v", want, e.Verdicts)
		}
		return true
	})
	if len(events) != sent {
		t.Errorf("%d events of %d mails", len(events), sent)
	}
}
