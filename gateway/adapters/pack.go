package adapters

import (
	"sluice/gateway/config"
	"sluice/gateway/maillog"
	"sluice/pipeline/pack"
)

// packOptions returns the settings for packing small messages, nil if packing is off.
func packOptions(c *config.Config, d Deps) *pack.Options {
	if c.Store.Packing == config.PackingOff {
		return nil
	}
	p := &c.Store.Pack
	return &pack.Options{
		Limits: pack.Limits{
			Messages: p.MaxMessages, Bytes: int64(p.MaxBytes), Message: int64(p.MessageLimit),
		},
		Lanes: p.Lanes, Linger: p.Linger, Observer: packLog{d.Packs, d.MailLog},
	}
}

// packLog counts packs, and logs refused ones.
type packLog struct {
	pack.Observer
	log *maillog.Log
}

// PackSplit implements pack.Observer.
func (l packLog) PackSplit(messages int, err error) {
	l.Observer.PackSplit(messages, err)
	l.log.PackSplit(messages, err)
}
