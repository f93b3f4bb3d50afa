package session

import "sluice/codec"

// surplusRecipients is the number of recipients over the limit of a message that are
// answered 452 without being counted, between two accepted messages. A sender with more
// recipients pipelines all of them and sends the rest in another transaction (RFC 5321
// §4.5.3.1.10). Postfix has the same allowance (smtpd_recipient_overshoot_limit).
const surplusRecipients = 1000

// charge counts the refusal r. Command faults have a counter of their own, apart from
// refused recipients and messages.
func (s *Session) charge(ev Event, r *codec.Reply) {
	switch {
	case r == nil || r.Code < 400 || r.Close:
	case r.Code >= 500 && r.Code <= 503 || r == codec.ReplyUnknownParameter:
		s.errors++
	case r.Code == 452 && ev.Kind == Commanded && ev.Command.Verb == codec.VerbRCPT &&
		s.surplus < surplusRecipients:
		s.surplus++
	default:
		s.refusals++
	}
}

// forgive resets the counters after the client has delivered a message.
func (s *Session) forgive() { s.errors, s.refusals, s.surplus, s.junk = 0, 0, 0, 0 }

// exhausted returns the reply that ends a session over a limit of refusals, nil for any
// other session.
func (s *Session) exhausted() *codec.Reply {
	limits := &s.settings.Limits
	switch {
	case s.errors > 0 && int(s.errors) >= limits.CommandErrors:
		return codec.ReplyTooManyErrors
	case s.refusals > 0 && int(s.refusals) >= limits.RecipientErrors:
		return codec.ReplyTooManyRefusals
	}
	return nil
}

// Exhausted reports whether the session has reached a limit of refusals. The refusal that
// reaches it has its own reply, and the session ends after that reply, as in Postfix.
func (s *Session) Exhausted() bool { return s.phase == PhaseCommand && s.exhausted() != nil }
