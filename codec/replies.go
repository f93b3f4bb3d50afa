package codec

// The catalogue of replies: every text that Sluice sends is in this file. Clients see the
// texts; causes go to metrics and logs.
var (
	ReplyBye = &Reply{Code: 221, Enhanced: EnhancedCode{2, 0, 0}, Close: true, Cause: "quit",
		Lines: []string{"Bye"}}
	ReplyHelp = &Reply{Code: 214, Enhanced: EnhancedCode{2, 0, 0}, Cause: "help",
		Lines: []string{"Commands: HELO EHLO STARTTLS AUTH MAIL RCPT DATA RSET NOOP VRFY HELP QUIT", "See RFC 5321"}}
	ReplyOk = &Reply{Code: 250, Enhanced: EnhancedCode{2, 0, 0}, Cause: "ok",
		Lines: []string{"Ok"}}
	ReplySenderOk = &Reply{Code: 250, Enhanced: EnhancedCode{2, 1, 0}, Cause: "sender",
		Lines: []string{"Sender ok"}}
	ReplyRecipientOk = &Reply{Code: 250, Enhanced: EnhancedCode{2, 1, 5}, Cause: "recipient",
		Lines: []string{"Recipient ok"}}
	// ReplyAccepted is the 250 after the final dot, by which Sluice takes responsibility
	// for the message. The id of the message follows the text.
	ReplyAccepted = &Reply{Code: 250, Enhanced: EnhancedCode{2, 0, 0}, Cause: "accepted",
		Lines: []string{"Ok"}}
	// ReplyCannotVerify answers VRFY: an edge gateway knows domains, not users (RFC 5321
	// §3.5.3). 2.1.5 would say that the address is valid (RFC 3463 §3.2).
	ReplyCannotVerify = &Reply{Code: 252, Enhanced: EnhancedCode{2, 0, 0}, Cause: "vrfy",
		Lines: []string{"Users are not verified here"}}
	// ReplyStartTLS is the last reply in plain text.
	ReplyStartTLS = &Reply{Code: 220, Enhanced: EnhancedCode{2, 0, 0}, Cause: "starttls",
		Lines: []string{"Ready to start TLS"}}
	ReplyAuthenticated = &Reply{Code: 235, Enhanced: EnhancedCode{2, 7, 0}, Cause: "authenticated",
		Lines: []string{"Authentication succeeded"}}
	// ReplyChallenge asks for the next response in an exchange of AUTH (RFC 4954 §4). The
	// challenge, in base64, follows it.
	ReplyChallenge = &Reply{Code: 334, Cause: "challenge", Lines: []string{""}}
	ReplyStartData = &Reply{Code: 354, Cause: "start_data",
		Lines: []string{"End data with <CRLF>.<CRLF>"}}

	ReplyDraining = &Reply{Code: 421, Enhanced: EnhancedCode{4, 3, 2}, Close: true, Cause: "draining",
		Lines: []string{"Service is shutting down, try again"}}
	// ReplyPressure sheds a session because the consumers or a local resource have fallen
	// behind.
	ReplyPressure = &Reply{Code: 421, Enhanced: EnhancedCode{4, 3, 2}, Close: true, Cause: "pressure",
		Lines: []string{"Busy, try again later"}}
	ReplyTooManyConnections = &Reply{Code: 421, Enhanced: EnhancedCode{4, 3, 2}, Close: true, Cause: "connections",
		Lines: []string{"Too many connections, try again later"}}
	ReplyTooManyFromAddress = &Reply{Code: 421, Enhanced: EnhancedCode{4, 7, 0}, Close: true, Cause: "connections_per_ip",
		Lines: []string{"Too many connections from your address, try again later"}}
	ReplyTimeout = &Reply{Code: 421, Enhanced: EnhancedCode{4, 4, 2}, Close: true, Cause: "timeout",
		Lines: []string{"Timed out waiting for input"}}
	ReplyTooManyErrors = &Reply{Code: 421, Enhanced: EnhancedCode{4, 7, 0}, Close: true, Cause: "command_errors",
		Lines: []string{"Too many errors"}}
	ReplyTooManyRefusals = &Reply{Code: 421, Enhanced: EnhancedCode{4, 7, 0}, Close: true, Cause: "recipient_errors",
		Lines: []string{"Too many refused recipients or messages"}}
	ReplyTooManyJunk = &Reply{Code: 421, Enhanced: EnhancedCode{4, 7, 0}, Close: true, Cause: "junk_commands",
		Lines: []string{"Too many commands without mail"}}
	ReplyTooManyMessages = &Reply{Code: 421, Enhanced: EnhancedCode{4, 7, 0}, Close: true, Cause: "messages",
		Lines: []string{"Too many messages on this connection, open another"}}
	// ReplyInputBehindData ends a session that sent input along with a refused DATA. That
	// input is mail text and must never be read as commands.
	ReplyInputBehindData = &Reply{Code: 421, Enhanced: EnhancedCode{4, 7, 0}, Close: true, Cause: "input_behind_data",
		Lines: []string{"Mail text was sent before DATA was granted"}}
	ReplyTooMuchPipelined = &Reply{Code: 421, Enhanced: EnhancedCode{4, 7, 0}, Close: true, Cause: "pipelined_input",
		Lines: []string{"Too much input was sent ahead"}}
	// ReplyHTTP refuses HTTP: a browser can be made to post an SMTP dialog to this port,
	// and only the first line shows that it is a request.
	ReplyHTTP = &Reply{Code: 421, Enhanced: EnhancedCode{4, 7, 0}, Close: true, Cause: "http",
		Lines: []string{"This is SMTP, not HTTP"}}
	// ReplyTLS refuses input that begins with a TLS handshake instead of a command line.
	ReplyTLS = &Reply{Code: 421, Enhanced: EnhancedCode{4, 7, 0}, Close: true, Cause: "tls",
		Lines: []string{"TLS is not spoken on this port"}}
	// ReplyNoDescriptor ends a session that must pause, which briefly needs one more file
	// descriptor, when there is none.
	ReplyNoDescriptor = &Reply{Code: 421, Enhanced: EnhancedCode{4, 3, 1}, Close: true, Cause: "descriptors",
		Lines: []string{"Too busy, try again later"}}
	ReplyInternalError = &Reply{Code: 421, Enhanced: EnhancedCode{4, 3, 0}, Close: true, Cause: "internal_error",
		Lines: []string{"Internal error, try again later"}}

	// ReplyTLSBusy refuses STARTTLS while too many handshakes are in flight (RFC 3207 §4).
	ReplyTLSBusy = &Reply{Code: 454, Enhanced: EnhancedCode{4, 7, 0}, Cause: "tls_busy",
		Lines: []string{"TLS is not available for now, try again later"}}
	// ReplyAuthUnavailable says that nobody could find out whether the client is who it says
	// (RFC 4954 §6). It says nothing about the password.
	ReplyAuthUnavailable = &Reply{Code: 454, Enhanced: EnhancedCode{4, 7, 0}, Cause: "auth_unavailable",
		Lines: []string{"Authentication is not available for now, try again later"}}
	ReplyTemporary = &Reply{Code: 451, Enhanced: EnhancedCode{4, 3, 0}, Cause: "temporary",
		Lines: []string{"Mail could not be stored for now, try again later"}}
	ReplyOverdue = &Reply{Code: 451, Enhanced: EnhancedCode{4, 3, 0}, Cause: "overdue",
		Lines: []string{"Mail could not be stored in time, try again later"}}
	// ReplyUnverified refuses a message for now that could not be verified.
	ReplyUnverified = &Reply{Code: 451, Enhanced: EnhancedCode{4, 7, 0}, Cause: "unverified",
		Lines: []string{"Mail could not be verified for now, try again later"}}
	// ReplySPFError refuses a message for now whose SPF could not be found out (RFC 7372
	// §3.2).
	ReplySPFError = &Reply{Code: 451, Enhanced: EnhancedCode{4, 7, 24}, Cause: "spf_error",
		Lines: []string{"SPF could not be checked for now, try again later"}}
	ReplyStoreFull = &Reply{Code: 452, Enhanced: EnhancedCode{4, 3, 1}, Cause: "store_full",
		Lines: []string{"Insufficient storage, try again later"}}
	ReplyNoBodyMemory = &Reply{Code: 452, Enhanced: EnhancedCode{4, 3, 1}, Cause: "body_memory",
		Lines: []string{"Too much mail in flight, try again later"}}
	ReplyTooManyRecipients = &Reply{Code: 452, Enhanced: EnhancedCode{4, 5, 3}, Cause: "recipients",
		Lines: []string{"Too many recipients, send the rest in another transaction"}}
	// ReplyEnvelopeFull refuses a recipient with which the message's event would be too
	// large for the event log.
	ReplyEnvelopeFull = &Reply{Code: 452, Enhanced: EnhancedCode{4, 5, 3}, Cause: "envelope_full",
		Lines: []string{"Too many recipients, send the rest in another transaction"}}

	// ReplyInputBehindTLS ends a session that sent input along with STARTTLS
	// (CVE-2011-0411).
	ReplyInputBehindTLS = &Reply{Code: 501, Enhanced: EnhancedCode{5, 5, 4}, Close: true, Cause: "input_behind_tls",
		Lines: []string{"Input was sent before TLS began"}}
	ReplyNestedTLS = &Reply{Code: 503, Enhanced: EnhancedCode{5, 5, 1}, Cause: "nested_tls",
		Lines: []string{"TLS has already begun"}}
	// ReplyNeedTLS refuses commands before TLS where that is required (RFC 3207 §4).
	ReplyNeedTLS = &Reply{Code: 530, Enhanced: EnhancedCode{5, 7, 0}, Cause: "tls_required",
		Lines: []string{"Must issue a STARTTLS command first"}}
	// Replies to AUTH (RFC 4954 §4, §6).
	ReplyAuthLineTooLong = &Reply{Code: 500, Enhanced: EnhancedCode{5, 5, 6}, Cause: "auth_line_too_long",
		Lines: []string{"Line of authentication too long"}}
	ReplyAuthBadResponse = &Reply{Code: 501, Enhanced: EnhancedCode{5, 5, 2}, Cause: "auth_bad_response",
		Lines: []string{"Cannot decode the response"}}
	ReplyAuthCancelled = &Reply{Code: 501, Enhanced: EnhancedCode{5, 7, 0}, Cause: "auth_cancelled",
		Lines: []string{"Authentication cancelled"}}
	ReplyNestedAuth = &Reply{Code: 503, Enhanced: EnhancedCode{5, 5, 1}, Cause: "nested_auth",
		Lines: []string{"Already authenticated"}}
	ReplyAuthMechanism = &Reply{Code: 504, Enhanced: EnhancedCode{5, 5, 4}, Cause: "auth_mechanism",
		Lines: []string{"Unrecognized authentication mechanism"}}
	ReplyNeedAuth = &Reply{Code: 530, Enhanced: EnhancedCode{5, 7, 0}, Cause: "auth_required",
		Lines: []string{"Authentication required"}}
	// ReplyAuthRefused is the same for a wrong password, an unknown user and whatever else:
	// who tries out passwords must not learn that one was right.
	ReplyAuthRefused = &Reply{Code: 535, Enhanced: EnhancedCode{5, 7, 8}, Cause: "auth_refused",
		Lines: []string{"Authentication credentials invalid"}}
	ReplyAuthNeedsTLS = &Reply{Code: 538, Enhanced: EnhancedCode{5, 7, 11}, Cause: "auth_needs_tls",
		Lines: []string{"Encryption required for authentication"}}
	// ReplySenderNotOwned refuses a sender address that the client may not use.
	ReplySenderNotOwned = &Reply{Code: 553, Enhanced: EnhancedCode{5, 7, 1}, Cause: "sender_not_owned",
		Lines: []string{"Sender address is not yours"}}
	ReplyLineTooLong = &Reply{Code: 500, Enhanced: EnhancedCode{5, 5, 2}, Cause: "line_too_long",
		Lines: []string{"Line too long"}}
	ReplyBadLine = &Reply{Code: 500, Enhanced: EnhancedCode{5, 5, 2}, Cause: "bad_line",
		Lines: []string{"Bad line: NUL, 8-bit octets, and CR or LF alone are not taken"}}
	ReplyUnknownCommand = &Reply{Code: 500, Enhanced: EnhancedCode{5, 5, 1}, Cause: "unknown_command",
		Lines: []string{"Command unrecognized"}}
	ReplyBadArgument = &Reply{Code: 501, Enhanced: EnhancedCode{5, 5, 4}, Cause: "bad_argument",
		Lines: []string{"Syntax error in parameters"}}
	ReplyBadReversePath = &Reply{Code: 501, Enhanced: EnhancedCode{5, 1, 7}, Cause: "bad_reverse_path",
		Lines: []string{"Bad sender address syntax"}}
	ReplyBadForwardPath = &Reply{Code: 501, Enhanced: EnhancedCode{5, 1, 3}, Cause: "bad_forward_path",
		Lines: []string{"Bad recipient address syntax"}}
	ReplyNotImplemented = &Reply{Code: 502, Enhanced: EnhancedCode{5, 5, 1}, Cause: "not_implemented",
		Lines: []string{"Command not implemented"}}
	ReplyNeedHelo = &Reply{Code: 503, Enhanced: EnhancedCode{5, 5, 1}, Cause: "need_helo",
		Lines: []string{"Send HELO or EHLO first"}}
	ReplyNeedMail = &Reply{Code: 503, Enhanced: EnhancedCode{5, 5, 1}, Cause: "need_mail",
		Lines: []string{"Send MAIL first"}}
	ReplyNestedMail = &Reply{Code: 503, Enhanced: EnhancedCode{5, 5, 1}, Cause: "nested_mail",
		Lines: []string{"A transaction is already under way"}}
	ReplyRelayDenied = &Reply{Code: 550, Enhanced: EnhancedCode{5, 7, 1}, Cause: "relay_denied",
		Lines: []string{"Relay access denied"}}
	// ReplyUnknownRecipient refuses an address of an accepted domain that does not exist.
	ReplyUnknownRecipient = &Reply{Code: 550, Enhanced: EnhancedCode{5, 1, 1}, Cause: "unknown_recipient",
		Lines: []string{"No such recipient here"}}
	ReplyPolicy = &Reply{Code: 550, Enhanced: EnhancedCode{5, 7, 1}, Cause: "policy",
		Lines: []string{"Mail refused by policy"}}
	// ReplyDMARC refuses a message as the domain of its author, which follows the text,
	// wants it.
	ReplyDMARC = &Reply{Code: 550, Enhanced: EnhancedCode{5, 7, 1}, Cause: "dmarc",
		Lines: []string{"Mail refused by the DMARC policy of the author's domain"}}
	// ReplySPF refuses a message that failed SPF (RFC 7372 §3.2).
	ReplySPF = &Reply{Code: 550, Enhanced: EnhancedCode{5, 7, 23}, Cause: "spf",
		Lines: []string{"Mail refused as it fails SPF"}}
	ReplyTooLarge = &Reply{Code: 552, Enhanced: EnhancedCode{5, 3, 4}, Cause: "too_large",
		Lines: []string{"Message too large"}}
	// ReplyEventTooLarge refuses an envelope whose event is too large for the event log.
	ReplyEventTooLarge = &Reply{Code: 552, Enhanced: EnhancedCode{5, 3, 4}, Cause: "event_too_large",
		Lines: []string{"Message envelope too large"}}
	// ReplyTooLargeBye ends a session whose message reached twice the size limit.
	ReplyTooLargeBye = &Reply{Code: 552, Enhanced: EnhancedCode{5, 3, 4}, Close: true, Cause: "far_too_large",
		Lines: []string{"Message far too large"}}
	ReplyNoRecipients = &Reply{Code: 554, Enhanced: EnhancedCode{5, 5, 1}, Cause: "no_recipients",
		Lines: []string{"No valid recipients"}}
	ReplyMailLoop = &Reply{Code: 554, Enhanced: EnhancedCode{5, 4, 6}, Cause: "mail_loop",
		Lines: []string{"Too many hops, this mail is going in circles"}}
	// ReplySmuggling ends the session: input after such a message may be meant as a part
	// of it or as another message.
	ReplySmuggling = &Reply{Code: 554, Enhanced: EnhancedCode{5, 6, 0}, Close: true, Cause: "smuggling",
		Lines: []string{"Bare CR, bare LF or NUL in the message: lines end in CRLF"}}
	ReplyPermanent = &Reply{Code: 554, Enhanced: EnhancedCode{5, 3, 0}, Cause: "permanent",
		Lines: []string{"Mail cannot be stored"}}
	ReplyUnknownParameter = &Reply{Code: 555, Enhanced: EnhancedCode{5, 5, 4}, Cause: "unknown_parameter",
		Lines: []string{"Parameter not recognized or not implemented"}}
)

// GreetingReply returns the 220 of a host (RFC 5321 §4.3.1).
func GreetingReply(hostname string) *Reply {
	return &Reply{Code: 220, Cause: "greeting", Lines: []string{hostname + " ESMTP Sluice"}}
}

// HeloReply returns the reply to HELO.
func HeloReply(hostname string) *Reply {
	return &Reply{Code: 250, Cause: "helo", Lines: []string{hostname}}
}

// EhloReply returns the reply to EHLO: the host, then a line for each service extension
// (RFC 5321 §4.1.1.1).
func EhloReply(hostname string, extensions ...string) *Reply {
	return &Reply{Code: 250, Cause: "ehlo", Lines: append([]string{hostname}, extensions...)}
}

// Replies returns every reply, for users that must know all codes and causes in advance.
// The texts of the first three depend on the configuration.
func Replies() []*Reply {
	return []*Reply{
		GreetingReply("host"), HeloReply("host"), EhloReply("host"),
		ReplyBye, ReplyHelp, ReplyOk, ReplySenderOk, ReplyRecipientOk, ReplyAccepted,
		ReplyCannotVerify, ReplyStartData,
		ReplyDraining, ReplyPressure, ReplyTooManyConnections, ReplyTooManyFromAddress, ReplyTimeout,
		ReplyTooManyErrors, ReplyTooManyRefusals, ReplyTooManyJunk, ReplyTooManyMessages, ReplyInputBehindData,
		ReplyTooMuchPipelined, ReplyHTTP, ReplyTLS, ReplyNoDescriptor, ReplyInternalError,
		ReplyTemporary, ReplyOverdue, ReplyStoreFull, ReplyNoBodyMemory, ReplyTooManyRecipients, ReplyEnvelopeFull,
		ReplyLineTooLong, ReplyBadLine, ReplyUnknownCommand, ReplyBadArgument,
		ReplyBadReversePath, ReplyBadForwardPath, ReplyNotImplemented,
		ReplyNeedHelo, ReplyNeedMail, ReplyNestedMail,
		ReplyAuthenticated, ReplyChallenge, ReplyAuthUnavailable, ReplyAuthLineTooLong, ReplyAuthBadResponse,
		ReplyAuthCancelled, ReplyNestedAuth, ReplyAuthMechanism, ReplyNeedAuth, ReplyAuthRefused,
		ReplyAuthNeedsTLS, ReplySenderNotOwned,
		ReplyStartTLS, ReplyTLSBusy, ReplyInputBehindTLS, ReplyNestedTLS, ReplyNeedTLS,
		ReplyRelayDenied, ReplyUnknownRecipient, ReplyPolicy, ReplyTooLarge, ReplyEventTooLarge, ReplyTooLargeBye, ReplyNoRecipients,
		ReplyUnverified, ReplySPFError, ReplyDMARC, ReplySPF,
		ReplyMailLoop, ReplySmuggling, ReplyPermanent, ReplyUnknownParameter,
	}
}
