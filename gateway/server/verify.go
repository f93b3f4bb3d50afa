package server

import (
	"sluice/gateway/adapters"
	"sluice/gateway/config"
	"sluice/metrics"
	"sluice/pipeline"
)

// openVerification opens what verifies the mail of strangers, if that is on.
func (s *Server) openVerification() (err error) {
	if s.config.Verify.Enabled {
		s.verification, err = adapters.OpenVerification(&s.config, verdicts{s.metrics}, s.log.Logger())
	}
	return err
}

// closeVerification ends what is being verified.
func (s *Server) closeVerification() error {
	if s.verification == nil {
		return nil
	}
	return s.verification.Close()
}

// useVerification makes what a configuration says about verification the present.
func (s *Server) useVerification(c *config.Config) {
	if s.verification != nil {
		s.verification.Use(c)
	}
}

// verdicts counts verdicts, and lookups for them.
type verdicts struct{ *metrics.Metrics }

// Verified implements verifier.Observer.
func (o verdicts) Verified(v *pipeline.Verdicts, overdue bool) {
	o.Checked("spf", v.SPF.Result)
	for _, signature := range v.DKIM {
		o.Checked("dkim", signature.Result)
	}
	if len(v.DKIM) == 0 {
		o.Checked("dkim", "none")
	}
	o.Checked("dmarc", v.DMARC.Result)
	o.Checked("iprev", v.IPRev.Result)
	o.Disposed(v.Disposition)
	if overdue {
		o.VerifyOverdue()
	}
}

// Forged implements verifier.Observer.
func (o verdicts) Forged(fields int) { o.FieldsForged(fields) }
