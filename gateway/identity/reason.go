package identity

// Reason is why an attempt was not accepted, for the log and for metrics: one of a bounded
// number. The client hears of it only where auth.explain says so.
type Reason string

// Reasons of Unknown and Refused.
const (
	ReasonUnknownUser    Reason = "unknown_user"
	ReasonWrongPassword  Reason = "wrong_password"
	ReasonLocked         Reason = "locked"           // after too many failures, or our address is blocked
	ReasonDisabled       Reason = "disabled"         // the account
	ReasonExpired        Reason = "expired"          // the account or its password
	ReasonChangePassword Reason = "change_password"  // before anything else
	ReasonNotPermitted   Reason = "not_permitted"    // not here, not now, or not by this application
	ReasonSecondFactor   Reason = "second_factor"    // which a password alone cannot give
	ReasonAmbiguous      Reason = "ambiguous"        // more than one entry has the name
	ReasonToken          Reason = "token_invalid"    // no token, or its signature is wrong
	ReasonTokenExpired   Reason = "token_expired"    // or not valid yet
	ReasonTokenIssuer    Reason = "token_issuer"     // of somebody else
	ReasonTokenAudience  Reason = "token_audience"   // for somebody else
	ReasonTokenScope     Reason = "token_scope"      // without a scope or role that is required
	ReasonTokenIdentity  Reason = "token_identity"   // of another user than the one named
	ReasonActs           Reason = "acts_for_another" // the client wants to act as another user
	ReasonEmpty          Reason = "empty_secret"     // which a directory would take for no attempt
	ReasonMalformed      Reason = "malformed"        // a secret with NUL, or longer than MaxSecret
	ReasonRefused        Reason = "refused"          // whatever else
)

// Reasons of Unavailable.
const (
	ReasonUnreachable   Reason = "unreachable"   // no connection, or a broken one
	ReasonTimeout       Reason = "timeout"       // no answer in time
	ReasonThrottled     Reason = "throttled"     // the backend has too much to do
	ReasonFailing       Reason = "failing"       // the backend has an error of its own
	ReasonMisconfigured Reason = "misconfigured" // ours is wrong: the operator has to mend it
	ReasonBusy          Reason = "busy"          // too many attempts wait here
	ReasonInternal      Reason = "internal"      // a panic
)

// Reasons returns every reason.
func Reasons() []Reason {
	return []Reason{
		ReasonUnknownUser, ReasonWrongPassword, ReasonLocked, ReasonDisabled, ReasonExpired,
		ReasonChangePassword, ReasonNotPermitted, ReasonSecondFactor, ReasonAmbiguous,
		ReasonToken, ReasonTokenExpired, ReasonTokenIssuer, ReasonTokenAudience, ReasonTokenScope,
		ReasonTokenIdentity, ReasonActs, ReasonEmpty, ReasonMalformed, ReasonRefused,
		ReasonUnreachable, ReasonTimeout, ReasonThrottled, ReasonFailing, ReasonMisconfigured,
		ReasonBusy, ReasonInternal,
	}
}
