package session

import (
	"net/netip"
	"strconv"

	"sluice/codec"
	"sluice/pipeline"
)

// Limits bound what one session may do. The reasons for their defaults stand
// beside them in the configuration.
type Limits struct {
	MessageSize     int64 // octets, as received (RFC 1870)
	Recipients      int   // recipients of one message (RFC 5321 §4.5.3.1.8)
	CommandErrors   int   // replies 500, 501, 502, 503, 555, between accepted messages
	RecipientErrors int   // other refusals, of recipients and messages, between them
	JunkCommands    int   // commands between messages that bring none nearer
	Messages        int   // messages answered on one connection
	ReceivedHeaders int   // Received fields in a message (RFC 5321 §6.3)
}

// Settings are what all sessions share. They are not changed once sessions use them.
type Settings struct {
	Hostname string
	Limits   Limits
	Accept   *AcceptList
	// Tolerate takes messages with a bare CR, a bare LF or a NUL in them, of any
	// client; else only those of TolerateFrom are taken.
	Tolerate     bool
	TolerateFrom []netip.Prefix
	// StrictPaths refuses paths that do not follow the grammar (codec.Leniency).
	StrictPaths bool

	greeting, helo, ehlo *codec.Reply
}

// NewSettings prepares the settings of sessions.
func NewSettings(hostname string, limits Limits, accept *AcceptList) *Settings {
	return &Settings{
		Hostname: hostname,
		Limits:   limits,
		Accept:   accept,
		greeting: codec.GreetingReply(hostname),
		helo:     codec.HeloReply(hostname),
		ehlo: codec.EhloReply(hostname,
			"PIPELINING",
			"SIZE "+strconv.FormatInt(limits.MessageSize, 10),
			"8BITMIME",
			"ENHANCEDSTATUSCODES"),
	}
}

// guessedCredit is the body memory asked for a message of undeclared size: more
// than most mail needs, little enough to give many.
var guessedCredit = pipeline.SlabBytes(256 << 10)

// wantedCredit gives the octets of body memory to ask for before 354.
func (s *Settings) wantedCredit(declared int64) int64 {
	limit := pipeline.SlabBytes(s.Limits.MessageSize)
	if declared <= 0 {
		return min(guessedCredit, limit)
	}
	return min(pipeline.SlabBytes(declared), limit)
}
