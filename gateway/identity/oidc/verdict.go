package oidc

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"sluice/gateway/identity"
)

// verdict is what an error of the provider means.
type verdict struct {
	verdict identity.Verdict
	reason  identity.Reason
}

// Verdicts by what has to be done about them.
var (
	unknownUser   = verdict{identity.Unknown, identity.ReasonUnknownUser}
	wrongPassword = verdict{identity.Refused, identity.ReasonWrongPassword}
	locked        = verdict{identity.Refused, identity.ReasonLocked}
	disabled      = verdict{identity.Refused, identity.ReasonDisabled}
	expired       = verdict{identity.Refused, identity.ReasonExpired}
	notPermitted  = verdict{identity.Refused, identity.ReasonNotPermitted}
	secondFactor  = verdict{identity.Refused, identity.ReasonSecondFactor}
	otherRefusal  = verdict{identity.Refused, identity.ReasonRefused}
	throttled     = verdict{identity.Unavailable, identity.ReasonThrottled}
	failing       = verdict{identity.Unavailable, identity.ReasonFailing}
	misconfigured = verdict{identity.Unavailable, identity.ReasonMisconfigured}
)

// byError are the meanings of error (RFC 6749 §5.2, OpenID Connect Core §3.1.2.6 and
// Entra's own) where no code of Entra says more.
var byError = map[string]verdict{
	"invalid_grant":           otherRefusal,
	"interaction_required":    secondFactor,
	"login_required":          otherRefusal,
	"access_denied":           notPermitted,
	"invalid_request":         misconfigured,
	"invalid_client":          misconfigured,
	"unauthorized_client":     misconfigured,
	"unsupported_grant_type":  misconfigured,
	"invalid_scope":           misconfigured,
	"invalid_resource":        misconfigured,
	"invalid_target":          misconfigured,
	"consent_required":        misconfigured,
	"server_error":            failing,
	"temporarily_unavailable": failing,
	"slow_down":               throttled,
}

// tooOften is Entra's code for too many requests of one user in a short time. It is no reason
// to leave Entra alone: anybody can bring it about for one name, and the others would wait.
const tooOften = 50196

// byCode are the meanings of Entra's error_codes.
var byCode = map[int]verdict{
	50034: unknownUser, // not in the directory
	51004: unknownUser, // not in the directory
	50020: unknownUser, // of another provider, and no guest
	90072: unknownUser, // of another provider, and no guest
	50029: unknownUser, // its domain has characters that no domain has
	50059: unknownUser, // nothing says in which tenant it is
	50128: unknownUser, // its domain is none of the tenant

	50126: wrongPassword,
	50056: wrongPassword, // none, or one that cannot be
	50053: locked,        // or our address is blocked
	50055: expired,       // the password
	50144: expired,       // the password in Active Directory
	50057: disabled,
	50105: notPermitted, // not assigned to the application

	50072: secondFactor, // has to register one
	50074: secondFactor,
	50076: secondFactor,
	50079: secondFactor, // has to register one
	50158: secondFactor, // of somebody else

	53000:  notPermitted, // the device is not compliant
	53001:  notPermitted, // the device is not joined to the domain
	53002:  notPermitted, // the application is not approved
	53003:  notPermitted, // Conditional Access
	53004:  notPermitted, // suspicious activity
	53005:  notPermitted,
	53006:  notPermitted,
	53007:  notPermitted,
	53008:  notPermitted,
	53009:  notPermitted, // not protected by Intune
	53010:  notPermitted, // registering a factor from here
	53011:  notPermitted, // the user is at risk
	530032: notPermitted, // security policy
	530035: notPermitted, // security defaults

	tooOften: throttled,
	90055:    throttled, // too many requests of the tenant
	50033:    failing,
	90006:    failing,
	90012:    failing, // a timeout of its own
	90024:    failing,
	90033:    failing,

	65001:   misconfigured, // nobody has consented
	70001:   misconfigured, // the application is not in the tenant, or disabled
	700016:  misconfigured, // the application is not in the tenant
	7000215: misconfigured, // the client's secret is wrong
	7000218: misconfigured, // it needs a secret, or public flows are off
	7000222: misconfigured, // the client's secret expired
	90002:   misconfigured, // there is no such tenant
	9001023: misconfigured, // not for this kind of endpoint
}

// meaning returns what a code of Entra means, and reports whether that is known.
func meaning(code int) (verdict, bool) {
	if code >= 80001 && code <= 80014 { // the agents for Active Directory
		return failing, true
	}
	v, ok := byCode[code]
	return v, ok
}

// judgeError returns the answer for a status other than 200. The provider's description is
// neither read nor shown: its words change, and may repeat what was sent.
func judgeError(r *reply, address string) *identity.Answer {
	if r.status == http.StatusTooManyRequests || r.status >= http.StatusInternalServerError {
		return r.failure(address)
	}
	var failure struct {
		Error string `json:"error"`
		Codes []int  `json:"error_codes"`
	}
	if json.Unmarshal(r.body, &failure) != nil {
		return r.failure(address)
	}
	v, known := judgeCodes(failure.Error, failure.Codes)
	if !known {
		return unavailable(identity.ReasonFailing, "%s answers %d with an error that is not known", address, r.status)
	}
	answer := &identity.Answer{Verdict: v.verdict, Reason: v.reason}
	if v == throttled && !slices.Contains(failure.Codes, tooOften) {
		answer.RetryAfter = r.retry
	}
	text := "an error of its own"
	if _, named := byError[failure.Error]; named {
		text = failure.Error
	}
	answer.Err = fmt.Errorf("the provider answers %s%s", text, codesText(failure.Codes))
	return answer
}

// judgeCodes returns what an error means, by the first of Entra's codes that is known, and
// reports whether it is known at all.
func judgeCodes(text string, codes []int) (verdict, bool) {
	for _, code := range codes {
		if v, known := meaning(code); known {
			return v, true
		}
	}
	// Without codes a wrong password is by far the most frequent reason.
	if text == "invalid_grant" && len(codes) == 0 {
		return wrongPassword, true
	}
	v, known := byError[text]
	return v, known
}

// codesText returns the codes of Entra in words, at most the first four.
func codesText(codes []int) string {
	var text strings.Builder
	for _, code := range codes[:min(len(codes), 4)] {
		fmt.Fprintf(&text, " AADSTS%d", code)
	}
	return text.String()
}
