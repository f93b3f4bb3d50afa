package session

import "sluice/codec"

// surplusRecipients is how many recipients for which a message has no room are
// answered 452 without being counted, between two accepted messages. A sender that has
// more of them pipelines all and sends the rest in another transaction (RFC 5321
// §4.5.3.1.10); Postfix leaves it the same room (smtpd_recipient_overshoot_limit).
const surplusRecipients = 1000

// charge counts a refusal: faults in commands by themselves, refused recipients and
// messages by themselves.
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

// forgive forgets what was counted: the client has delivered a message.
func (s *Session) forgive() { s.errors, s.refusals, s.surplus, s.junk = 0, 0, 0, 0 }

// exhausted gives the reply that ends a session in which too much was refused, nil
// in any other.
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

// Exhausted reports whether too much was refused. The refusal that was one too many
// has its own reply, and the session ends behind that, as Postfix's does.
func (s *Session) Exhausted() bool { return s.phase == PhaseCommand && s.exhausted() != nil }
