package session

import (
	"testing"

	"sluice/codec"
	"sluice/pipeline"
)

// TestMessageKnowsWhoSends checks that each message of a client that has authenticated says
// who that is, who vouches for it, and what the listener is for, also behind RSET and EHLO.
func TestMessageKnowsWhoSends(t *testing.T) {
	settings := testSettings()
	settings.SetAuth(AuthPolicy{Tokens: true, PlainText: true})
	settings.Role = pipeline.RoleSubmission
	k := at(t, settings, "greeted")
	k.line("EHLO client.example.org")
	if a := k.line("AUTH XOAUTH2 dXNlcj1hbm4BYXV0aD1CZWFyZXIgeAEB"); a.Do != DoAuthenticate {
		t.Fatalf("%+v", a)
	}
	if c := k.TakeCredentials(); c.User != "ann" || string(c.Secret) != "x" || c.Mechanism != codec.MechanismXOAuth2 {
		t.Errorf("%+v", c)
	}
	answer := Answer{Verdict: AuthAccepted, Identity: "ann@example.net", Backend: "oidc-token", Issuer: "https://issuer.example"}
	if a := k.event(Event{Kind: Judged, Answer: answer}); a.Reply != codec.ReplyAuthenticated {
		t.Fatalf("%+v", a)
	}
	for _, before := range []string{"NOOP", "RSET", "EHLO client.example.org"} {
		k.line(before)
		k.line("MAIL FROM:<ann@example.net>")
		m := k.Message()
		if m == nil {
			t.Fatalf("no message behind %s", before)
		}
		want := pipeline.Auth{Mechanism: "XOAUTH2", Identity: "ann@example.net", Backend: "oidc-token", Issuer: "https://issuer.example"}
		if c := m.Client; c.Auth == nil || *c.Auth != want || c.Role != pipeline.RoleSubmission || c.Protocol != "ESMTPA" {
			t.Errorf("behind %s: %+v, %+v", before, c, c.Auth)
		}
	}
}
