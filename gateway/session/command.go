package session

import (
	"sluice/codec"
)

// command handles one command line.
func (s *Session) command(ev Event, pool Pool) Actions {
	cmd := ev.Command
	if cmd.Verb == codec.VerbHTTP || cmd.Verb == codec.VerbTLS { // even if its line has a fault
		return Actions{Reply: codec.Illegal(s.state, cmd.Verb)}
	}
	switch cmd.Fault {
	case codec.FaultNone:
	case codec.FaultLineTooLong:
		if cmd.Verb == codec.VerbAUTH && s.OffersAuth() {
			return Actions{Reply: codec.ReplyAuthLineTooLong}
		}
		return Actions{Reply: codec.ReplyLineTooLong}
	case codec.FaultEmpty:
		return Actions{Reply: codec.ReplyUnknownCommand}
	default:
		return Actions{Reply: codec.ReplyBadLine}
	}
	if cmd.Verb == codec.VerbXCLIENT && !s.mayName {
		return Actions{Reply: codec.ReplyUnknownCommand}
	}
	if cmd.Verb == codec.VerbSTARTTLS && !s.settings.tls.Offered && s.known().tls == nil {
		return Actions{Reply: codec.ReplyNotImplemented}
	}
	if cmd.Verb == codec.VerbAUTH && !s.settings.auth.offered() {
		return Actions{Reply: codec.ReplyNotImplemented}
	}
	if s.settings.tls.Required && s.known().tls == nil && !beforeTLS(cmd.Verb) {
		return Actions{Reply: codec.ReplyNeedTLS}
	}
	if refusal := codec.Illegal(s.state, cmd.Verb); refusal != nil {
		return Actions{Reply: refusal}
	}
	switch cmd.Verb {
	case codec.VerbHELO, codec.VerbEHLO:
		return s.hello(ev)
	case codec.VerbMAIL:
		s.mayName = false
		if ev.Shed != "" {
			return Actions{Reply: codec.ReplyPressure}
		}
		return s.mail(cmd.Arg, pool)
	case codec.VerbRCPT:
		if ev.NoMemory {
			return Actions{Reply: codec.ReplyNoBodyMemory}
		}
		return s.rcpt(cmd.Arg, ev.EventLimit)
	case codec.VerbDATA:
		if ev.Shed != "" {
			return Actions{Reply: codec.ReplyPressure}
		}
		return s.data(cmd.Arg)
	case codec.VerbRSET:
		return s.reset(cmd.Arg)
	case codec.VerbNOOP: // RFC 5321 §4.1.1.9: an argument is ignored
		return s.junkCommand(Actions{Reply: codec.ReplyOk})
	case codec.VerbVRFY:
		if len(cmd.Arg) == 0 {
			return Actions{Reply: codec.ReplyBadArgument}
		}
		return s.junkCommand(s.verify(cmd.Arg))
	case codec.VerbXCLIENT:
		return s.xclient(cmd.Arg)
	case codec.VerbSTARTTLS:
		return s.startTLS(ev)
	case codec.VerbAUTH:
		return s.authenticate(ev)
	case codec.VerbHELP:
		return s.junkCommand(Actions{Reply: codec.ReplyHelp})
	case codec.VerbQUIT:
		if len(cmd.Arg) > 0 {
			return Actions{Reply: codec.ReplyBadArgument}
		}
		return Actions{Reply: codec.ReplyBye}
	}
	return Actions{Reply: codec.ReplyNotImplemented}
}

// hello handles HELO and EHLO. Either one ends an open transaction, as RSET would (RFC
// 5321 §4.1.4).
func (s *Session) hello(ev Event) Actions {
	cmd := ev.Command
	domain, ok := codec.ValidHelo(cmd.Arg)
	if !ok {
		return Actions{Reply: codec.ReplyBadArgument}
	}
	if s.helo != string(domain) { // repeating the same name does not allocate
		s.helo = string(domain)
	}
	s.renew(ev.Settings)
	s.esmtp = cmd.Verb == codec.VerbEHLO
	first := s.state == codec.StateStart
	s.state = codec.StateReady
	reply := s.settings.helo
	if s.esmtp {
		reply = s.settings.ehlo[index(s.known().tls != nil)][index(s.mayName)]
	}
	a := s.release(reply)
	if first {
		return a
	}
	return s.junkCommand(a)
}

// verify handles VRFY (RFC 5321 §3.5). It refuses a domain with the same reply as RCPT.
func (s *Session) verify(arg []byte) Actions {
	path, fault := codec.ParseVrfy(arg)
	switch {
	case fault != codec.FaultNone:
		return Actions{Reply: codec.ReplyBadForwardPath}
	case path.Kind == codec.PathMailbox && !s.settings.Accept.Accepts(path.Domain):
		return Actions{Reply: codec.ReplyRelayDenied}
	}
	return Actions{Reply: codec.ReplyCannotVerify}
}

func (s *Session) reset(arg []byte) Actions {
	if len(arg) > 0 {
		return Actions{Reply: codec.ReplyBadArgument}
	}
	return s.junkCommand(s.release(codec.ReplyOk))
}

// junkCommand counts a command that does not advance a message. It replaces the reply
// when the limit is exceeded.
func (s *Session) junkCommand(a Actions) Actions {
	s.junk++
	if int(s.junk) > s.settings.Limits.JunkCommands {
		a.Reply = codec.ReplyTooManyJunk
	}
	return a
}
