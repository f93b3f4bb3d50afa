package session

import (
	"sluice/codec"
	"sluice/pipeline"
)

// outcomes maps what became of a message to the answer to its final dot. It is
// the only place where a kind of failure meets a reply.
var outcomes = [...]*codec.Reply{
	pipeline.KindNone:          codec.ReplyAccepted,
	pipeline.KindTemporary:     codec.ReplyTemporary,
	pipeline.KindTimeout:       codec.ReplyOverdue,
	pipeline.KindFull:          codec.ReplyStoreFull,
	pipeline.KindMemory:        codec.ReplyNoBodyMemory,
	pipeline.KindTooLarge:      codec.ReplyTooLarge,
	pipeline.KindLoop:          codec.ReplyMailLoop,
	pipeline.KindEventTooLarge: codec.ReplyEventTooLarge,
	pipeline.KindPolicy:        codec.ReplyPolicy,
	pipeline.KindSmuggling:     codec.ReplySmuggling,
	pipeline.KindPermanent:     codec.ReplyPermanent,
}

func outcomeReply(k pipeline.Kind) *codec.Reply { return outcomes[k] }

// parameterRefusal answers a bad ESMTP parameter: an unknown one is 555, any
// other fault 501 (RFC 5321 §4.1.1.11).
func parameterRefusal(f codec.Fault) *codec.Reply {
	if f == codec.FaultUnknownParameter {
		return codec.ReplyUnknownParameter
	}
	return codec.ReplyBadArgument
}
