package codec

// State is how far a session has come (RFC 5321 §4.1.4).
type State uint8

const (
	// StateStart has been greeted and has not said HELO or EHLO.
	StateStart State = iota
	// StateReady may begin a transaction.
	StateReady
	// StateMail has a reverse path and no recipient yet.
	StateMail
	// StateRcpt has at least one recipient.
	StateRcpt
	stateCount
)

// order is the table of what is legal when: nil for a legal command, else the
// reply that refuses it. What stands in no row is legal everywhere.
var order = [VerbCount][stateCount]*Reply{
	//              StateStart     StateReady      StateMail           StateRcpt
	VerbUnknown:  {ReplyUnknownCommand, ReplyUnknownCommand, ReplyUnknownCommand, ReplyUnknownCommand},
	VerbMAIL:     {ReplyNeedHelo, nil, ReplyNestedMail, ReplyNestedMail},
	VerbRCPT:     {ReplyNeedHelo, ReplyNeedMail, nil, nil},
	VerbDATA:     {ReplyNeedHelo, ReplyNeedMail, ReplyNoRecipients, nil},
	VerbEXPN:     {ReplyNotImplemented, ReplyNotImplemented, ReplyNotImplemented, ReplyNotImplemented},
	VerbSTARTTLS: {ReplyNotImplemented, ReplyNotImplemented, ReplyNotImplemented, ReplyNotImplemented},
	VerbAUTH:     {ReplyNotImplemented, ReplyNotImplemented, ReplyNotImplemented, ReplyNotImplemented},
	VerbHTTP:     {ReplyHTTP, ReplyHTTP, ReplyHTTP, ReplyHTTP},
	VerbTLS:      {ReplyTLS, ReplyTLS, ReplyTLS, ReplyTLS},
	VerbBDAT:     {ReplyNotImplemented, ReplyNotImplemented, ReplyNotImplemented, ReplyNotImplemented},
}

// Illegal gives the reply that refuses a command in a state, nil when it is
// legal there. HELO, EHLO, RSET, NOOP, VRFY, HELP and QUIT are legal at any time
// (RFC 5321 §4.1.4).
func Illegal(s State, v Verb) *Reply { return order[v][s] }
