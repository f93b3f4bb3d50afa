package session

import (
	"sluice/codec"
	"sluice/pipeline"
)

// outcomes maps the failure kind of a message to the reply to its final dot. No other
// place maps failures to replies.
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
	pipeline.KindDMARC:         codec.ReplyDMARC,
	pipeline.KindSPF:           codec.ReplySPF,
	pipeline.KindSPFError:      codec.ReplySPFError,
	pipeline.KindUnverified:    codec.ReplyUnverified,
}

func outcomeReply(k pipeline.Kind) *codec.Reply { return outcomes[k] }

// parameterRefusal returns the refusal of a bad ESMTP parameter: 555 for an unknown one,
// 501 for any other fault (RFC 5321 §4.1.1.11).
func parameterRefusal(f codec.Fault) *codec.Reply {
	if f == codec.FaultUnknownParameter {
		return codec.ReplyUnknownParameter
	}
	return codec.ReplyBadArgument
}
