package session

import (
	"sluice/codec"
	"sluice/pipeline"
)

// mail begins a transaction (RFC 5321 §4.1.1.2).
func (s *Session) mail(arg []byte, pool Pool) Actions {
	if s.draining {
		return Actions{Reply: codec.ReplyDraining}
	}
	if s.settings.Role == pipeline.RoleSubmission && s.known().auth == nil {
		return Actions{Reply: codec.ReplyNeedAuth}
	}
	if int(s.messages) >= s.settings.Limits.Messages {
		return Actions{Reply: codec.ReplyTooManyMessages}
	}
	path, rest, fault := codec.ParseMail(arg)
	if fault == codec.FaultNone && s.settings.StrictPaths && path.Leniency != codec.LenientNone {
		fault = codec.FaultSyntax
	}
	if fault != codec.FaultNone {
		return Actions{Reply: codec.ReplyBadReversePath}
	}
	if refusal := s.refuseSender(&path); refusal != nil {
		return Actions{Reply: refusal}
	}
	params, fault := codec.ParseMailParams(rest)
	if params.RequireTLS && !(s.settings.tls.RequireTLS && s.known().tls != nil) {
		fault = codec.FaultUnknownParameter
	}
	if fault != codec.FaultNone {
		return Actions{Reply: parameterRefusal(fault)}
	}
	if params.Size > s.settings.Limits.MessageSize {
		return Actions{Reply: codec.ReplyTooLarge} // RFC 1870 §6.1
	}
	m := pool.Take()
	m.Gateway = s.settings.Hostname
	known := s.known()
	m.Client = pipeline.Client{
		Address: s.client, Helo: s.helo, Protocol: s.protocol(), Proxy: known.proxy, TLS: known.tls,
		Role: s.settings.Role, Auth: known.auth,
	}
	m.Envelope.SetReversePath(path.Address)
	m.Envelope.Body, m.Envelope.SizeDeclared, m.Envelope.RequireTLS = params.Body, params.Size, params.RequireTLS
	s.message, s.state = m, codec.StateMail
	return Actions{Reply: codec.ReplySenderOk, Leniency: path.Leniency}
}

// protocol returns the name of the protocol for trace fields (RFC 3848). There is none for
// HELO behind TLS or AUTH: the S and the A say what matters.
func (s *Session) protocol() string {
	switch known := s.known(); {
	case known.tls != nil && known.auth != nil:
		return "ESMTPSA"
	case known.tls != nil:
		return "ESMTPS"
	case known.auth != nil:
		return "ESMTPA"
	case s.esmtp:
		return "ESMTP"
	}
	return "SMTP"
}

// rcpt adds a recipient (RFC 5321 §4.1.1.3).
func (s *Session) rcpt(arg []byte, eventLimit int64) Actions {
	path, rest, fault := codec.ParseRcpt(arg)
	if fault == codec.FaultNone && s.settings.StrictPaths && path.Leniency != codec.LenientNone {
		fault = codec.FaultSyntax
	}
	if fault != codec.FaultNone {
		return Actions{Reply: codec.ReplyBadForwardPath}
	}
	if fault := codec.ParseRcptParams(rest); fault != codec.FaultNone {
		return Actions{Reply: parameterRefusal(fault)}
	}
	if refusal := s.refuseRecipient(&path); refusal != nil {
		return Actions{Reply: refusal}
	}
	if s.message.Envelope.Recipients() >= s.settings.Limits.Recipients {
		return Actions{Reply: codec.ReplyTooManyRecipients}
	}
	if refusal := eventRefusal(s.message, path.Address, eventLimit); refusal != nil {
		return Actions{Reply: refusal}
	}
	s.message.Envelope.AddRecipient(path.Address)
	s.state = codec.StateRcpt
	return Actions{Reply: codec.ReplyRecipientOk, Leniency: path.Leniency}
}

// refuseRecipient returns the reply that refuses a forward-path, nil for one that is
// accepted: whatever it is on a listener for submission, where only users get this far.
func (s *Session) refuseRecipient(path *codec.Path) *codec.Reply {
	if s.settings.Role == pipeline.RoleSubmission {
		return nil
	}
	return s.settings.refuseStranger(path)
}

// eventRefusal refuses a recipient with whom the message's event might not fit into the
// event log. It returns nil if the event fits. It reserves room for a long Message-ID, so
// that nothing is refused at the final dot. The only recipient of a message is not
// refused for that reserve, since no other transaction would suit it better.
func eventRefusal(m *pipeline.Message, address []byte, limit int64) *codec.Reply {
	size := m.EventBound() + pipeline.RecipientBound(address)
	switch first := m.Envelope.Recipients() == 0; {
	case limit <= 0:
		return nil
	case first && size > limit:
		return codec.ReplyEventTooLarge
	case !first && size+pipeline.MessageIDReserve > limit:
		return codec.ReplyEnvelopeFull
	}
	return nil
}

// data requests the memory that the message will need. The 354 follows once it is granted
// (RFC 5321 §4.1.1.4).
func (s *Session) data(arg []byte) Actions {
	if len(arg) > 0 {
		return Actions{Reply: codec.ReplyBadArgument}
	}
	s.phase = PhaseCredit
	s.message.Memory.Wanted = s.settings.wantedCredit(s.message.Envelope.SizeDeclared)
	return Actions{Do: DoCredit}
}

// bodyEnded checks the message at its final dot and commits it.
func (s *Session) bodyEnded(eventLimit int64) Actions {
	m := s.message
	if m.Result.Err != nil {
		return s.outcome(m.Result.Err)
	}
	m.Summary.ScanHeader(&m.Body)
	if m.Summary.Received > s.settings.Limits.ReceivedHeaders {
		return s.outcome(&pipeline.Failure{Kind: pipeline.KindLoop, Op: "trace"})
	}
	if size := m.EventBound(); eventLimit > 0 && size > eventLimit { // check before anything is stored
		return s.outcome(pipeline.EventTooLarge(size, eventLimit))
	}
	s.phase = PhaseOutcome
	return Actions{Do: DoCommit}
}

// outcome replies to the final dot and ends the transaction.
func (s *Session) outcome(err error) Actions {
	m := s.message
	s.messages++
	a := s.release(outcomeReply(pipeline.KindOf(err)))
	if a.Err = err; err != nil {
		if told := pipeline.Told(err); told != "" {
			a.Arg = []byte(told)
		}
		return a
	}
	s.forgive()
	a.Arg = m.IDText()
	return a
}

// Settled reports whether a draining session has no transaction left, and waits for its
// client alone.
func (s *Session) Settled() bool {
	return s.draining && (s.phase == PhaseCommand || s.phase == PhaseResponse) && s.message == nil
}
