package dkim

// Verdict is what became of a signature, in the words of RFC 8601 §2.7.1.
type Verdict uint8

const (
	// Pass means that the signature is valid.
	Pass Verdict = iota
	// Fail means that the message is not what was signed.
	Fail
	// Policy means that the signature is of a kind that is not trusted.
	Policy
	// Neutral means that the signature cannot be understood.
	Neutral
	// TempError means that the key could not be fetched.
	TempError
	// PermError means that the signature can never be verified, such as for want of a key.
	PermError
)

// String returns the word of Authentication-Results.
func (v Verdict) String() string {
	names := [...]string{"pass", "fail", "policy", "neutral", "temperror", "permerror"}
	if int(v) < len(names) {
		return names[v]
	}
	return "unknown"
}

// Reason says why a signature did not pass. The set is bounded.
type Reason string

// The reasons. None of a signature that passed is ReasonNone.
const (
	ReasonNone      Reason = ""
	ReasonSyntax    Reason = "malformed signature"
	ReasonVersion   Reason = "unknown version"
	ReasonAlgorithm Reason = "unknown algorithm"
	ReasonCanon     Reason = "unknown canonicalization"
	ReasonQuery     Reason = "unknown query method"
	ReasonIdentity  Reason = "identity outside of domain"
	ReasonNames     Reason = "too many signed fields"
	ReasonFrom      Reason = "From is not signed"
	ReasonNoFrom    Reason = "no From field"
	ReasonTwoFrom   Reason = "several From fields"
	ReasonExpired   Reason = "signature expired"
	ReasonLength    Reason = "body goes on behind what is signed"
	ReasonOldForm   Reason = "field with a space before its colon is not signed"
	ReasonShort     Reason = "body shorter than what is signed"
	ReasonSHA1      Reason = "rsa-sha1"
	ReasonDNS       Reason = "key unavailable"
	ReasonNoKey     Reason = "no key"
	ReasonRevoked   Reason = "key revoked"
	ReasonBadKey    Reason = "malformed key"
	ReasonKeyUse    Reason = "key not for this use"
	ReasonSmallKey  Reason = "key below 1024 bits"
	ReasonLargeKey  Reason = "key above 4096 bits"
	ReasonBody      Reason = "body hash mismatch"
	ReasonSignature Reason = "signature mismatch"
)

// Result is what is known about one signature.
type Result struct {
	Verdict Verdict
	Reason  Reason
	// Domain and Selector are d= and s= in A-labels, or empty where they are malformed.
	Domain, Selector string
	// Algorithm is a=, or empty where it is unknown.
	Algorithm string
	// Prefix has the first eight characters of b= (RFC 6008).
	Prefix string
	// KeyBits is the size of the RSA key, or 0.
	KeyBits int
	// Testing reports whether the key says that its domain is testing (t=y).
	Testing bool
	// Evidence is what was hashed, where Options wanted it and it could be.
	Evidence *Evidence
}

// Evidence is what a signature was compared with.
type Evidence struct {
	Key        string   // the name where its key is
	Canon      string   // the canonical forms of header and body (c=)
	Header     []byte   // the canonical fields that were hashed, its own at the end
	Missing    []string // names in h= that no field had
	BodyLength int64    // the bytes of the canonical body that were hashed
	BodyTotal  int64    // of the canonical body
	BodyHash   []byte   // the hash of the body, nil where it is shorter than l=
	Signed     []byte   // the hash that the signature has (bh=)
}
