package codec

// State is the progress of a session through the order of commands (RFC 5321 §4.1.4).
type State uint8

const (
	// StateStart follows the greeting; the client has not sent HELO or EHLO.
	StateStart State = iota
	// StateReady allows a transaction to begin.
	StateReady
	// StateMail has a reverse-path and no recipient yet.
	StateMail
	// StateRcpt has at least one recipient.
	StateRcpt
	stateCount
)

// order is the table of legal commands by state: nil for a legal command, otherwise the
// reply that refuses it. A verb without a row is legal in every state.
var order = [VerbCount][stateCount]*Reply{
	//              StateStart     StateReady      StateMail           StateRcpt
	VerbUnknown:  {ReplyUnknownCommand, ReplyUnknownCommand, ReplyUnknownCommand, ReplyUnknownCommand},
	VerbMAIL:     {ReplyNeedHelo, nil, ReplyNestedMail, ReplyNestedMail},
	VerbRCPT:     {ReplyNeedHelo, ReplyNeedMail, nil, nil},
	VerbDATA:     {ReplyNeedHelo, ReplyNeedMail, ReplyNoRecipients, nil},
	VerbEXPN:     {ReplyNotImplemented, ReplyNotImplemented, ReplyNotImplemented, ReplyNotImplemented},
	VerbSTARTTLS: {ReplyNeedHelo, nil, ReplyNestedMail, ReplyNestedMail},
	VerbAUTH:     {ReplyNeedHelo, nil, ReplyNestedMail, ReplyNestedMail},
	VerbHTTP:     {ReplyHTTP, ReplyHTTP, ReplyHTTP, ReplyHTTP},
	VerbTLS:      {ReplyTLS, ReplyTLS, ReplyTLS, ReplyTLS},
	VerbXCLIENT:  {nil, nil, ReplyUnknownCommand, ReplyUnknownCommand},
	VerbBDAT:     {ReplyNotImplemented, ReplyNotImplemented, ReplyNotImplemented, ReplyNotImplemented},
}

// Illegal returns the reply that refuses v in state s, and nil if v is legal there. HELO,
// EHLO, RSET, NOOP, VRFY, HELP and QUIT are legal at any time (RFC 5321 §4.1.4).
func Illegal(s State, v Verb) *Reply { return order[v][s] }
