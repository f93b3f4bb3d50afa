package adapters

import (
	"log/slog"
	"sync/atomic"
	"time"

	"sluice/gateway/config"
	"sluice/gateway/resolver"
	"sluice/gateway/verifier"
	"sluice/gateway/verify"
	"sluice/gateway/verify/dkim"
	"sluice/gateway/verify/spf"
)

// Verification verifies the mail of strangers, as the present configuration has it.
type Verification struct {
	*verifier.Verifier
	resolver    *resolver.Resolver
	evaluations atomic.Pointer[verifier.Evaluations]
	deadline    atomic.Int64
}

// VerificationObserver is told of verdicts and of lookups.
type VerificationObserver interface {
	verifier.Observer
	resolver.Observer
}

// OpenVerification opens the resolver and the verifier of a configuration.
func OpenVerification(c *config.Config, observer VerificationObserver, logger *slog.Logger) (*Verification, error) {
	r, err := OpenResolver(c, observer, logger)
	if err != nil {
		return nil, err
	}
	v := &Verification{resolver: r}
	v.Use(c)
	v.Verifier = verifier.New(verifier.Options{
		Checks:   func() verifier.Checks { return v.evaluations.Load() },
		Deadline: func() time.Duration { return time.Duration(v.deadline.Load()) },
		Observer: observer,
	})
	return v, nil
}

// Use makes the section verify of a configuration the present one, for messages that come.
func (v *Verification) Use(c *config.Config) {
	v.deadline.Store(int64(c.Verify.Deadline))
	v.evaluations.Store(verifier.NewEvaluations(VerifyOptions(c), v.resolver))
}

// VerifyOptions returns what messages are verified by.
func VerifyOptions(c *config.Config) verify.Options {
	return verify.Options{AuthservID: c.AuthservID(), Exempt: c.Verify.ExemptDomains, Policy: c.Verify.Policy}
}

// Questions returns the number of questions that wait for DNS servers.
func (v *Verification) Questions() int { return v.resolver.InFlight() }

// CachedBytes returns what answers of the DNS take in memory, about.
func (v *Verification) CachedBytes() int64 { return v.resolver.CachedBytes() }

// Close ends what is being verified, and the resolver.
func (v *Verification) Close() error {
	v.Verifier.Close()
	v.resolver.Close()
	return nil
}

// VerifyResults returns every result of a check of a message.
func VerifyResults() []string {
	all := []string{dkim.Policy.String()} // which SPF does not have
	for _, result := range spf.Results() {
		all = append(all, string(result))
	}
	return all
}

// Dispositions returns everything that policy makes of a message.
func Dispositions() (all []string) {
	for _, action := range verify.Actions() {
		all = append(all, string(action))
	}
	return all
}
