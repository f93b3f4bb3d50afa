package codec

import "math"

// Param is one ESMTP parameter: esmtp-param = esmtp-keyword ["=" esmtp-value]
// (RFC 5321 §4.1.2). Its slices alias the input.
type Param struct {
	Key, Value []byte
	HasValue   bool
}

// NextParam takes the first parameter from params and returns the remainder as rest. ok
// is false at the end, and when the parameter does not follow the grammar. In the latter
// case fault is FaultParameterSyntax.
func NextParam(params []byte) (p Param, rest []byte, ok bool, fault Fault) {
	params = trimLeft(params)
	if len(params) == 0 {
		return Param{}, nil, false, FaultNone
	}
	n := 0
	for n < len(params) && (params[n] == '-' && n > 0 || params[n] != '_' && is(params[n], classLetDig)) {
		n++
	}
	if n == 0 {
		return Param{}, nil, false, FaultParameterSyntax
	}
	p.Key = params[:n]
	if n < len(params) && params[n] == '=' {
		from := n + 1
		for n = from; n < len(params) && is(params[n], classValue); n++ {
		}
		if n == from {
			return Param{}, nil, false, FaultParameterSyntax
		}
		p.Value, p.HasValue = params[from:n], true
	}
	if n < len(params) && !isWSP(params[n]) {
		return Param{}, nil, false, FaultParameterSyntax
	}
	return p, params[n:], true, FaultNone
}

// BodyType is the value of BODY on MAIL (RFC 6152 §2).
type BodyType uint8

const (
	// BodyUnspecified means that the client sent no BODY.
	BodyUnspecified BodyType = iota
	// Body7Bit is BODY=7BIT.
	Body7Bit
	// Body8BitMIME is BODY=8BITMIME.
	Body8BitMIME
)

// String returns the keyword, and "" for BodyUnspecified.
func (b BodyType) String() string {
	switch b {
	case Body7Bit:
		return "7BIT"
	case Body8BitMIME:
		return "8BITMIME"
	}
	return ""
}

// SizeNone is the value of MailParams.Size when MAIL declared no size.
const SizeNone = -1

// MailParams holds the parsed parameters of MAIL.
type MailParams struct {
	// Size is the declared size of the message in octets (RFC 1870 §6), SizeNone when
	// there is none. A value that does not fit in an int64 (the grammar allows 20 digits)
	// becomes math.MaxInt64: no limit admits either.
	Size int64
	// Body is the declared body type (RFC 6152).
	Body BodyType
	// RequireTLS says that the message must travel over TLS alone (RFC 8689).
	RequireTLS bool
	// hasAuth says that there was an AUTH, which is checked and ignored: nobody is trusted
	// to say who had authenticated elsewhere (RFC 4954 §5).
	hasAuth bool
}

// ParseMailParams parses the parameters of MAIL. It stops at the first fault: an unknown
// (555), repeated (501) or malformed (501) parameter.
func ParseMailParams(params []byte) (MailParams, Fault) {
	m := MailParams{Size: SizeNone}
	for {
		p, rest, ok, fault := NextParam(params)
		if !ok {
			return m, fault
		}
		switch {
		case equalFold(p.Key, "SIZE"):
			fault = m.setSize(p)
		case equalFold(p.Key, "BODY"):
			fault = m.setBody(p)
		case equalFold(p.Key, "REQUIRETLS"):
			fault = m.setRequireTLS(p)
		case equalFold(p.Key, "AUTH"):
			fault = m.setAuth(p)
		default:
			fault = FaultUnknownParameter
		}
		if fault != FaultNone {
			return m, fault
		}
		params = rest
	}
}

// setSize parses size-value = 1*20DIGIT (RFC 1870 §3).
func (m *MailParams) setSize(p Param) Fault {
	if m.Size != SizeNone {
		return FaultRepeatedParameter
	}
	if len(p.Value) == 0 || len(p.Value) > 20 {
		return FaultParameterSyntax
	}
	var size int64
	for _, c := range p.Value {
		if !is(c, classDigit) {
			return FaultParameterSyntax
		}
		digit := int64(c - '0')
		if size > (math.MaxInt64-digit)/10 {
			size = math.MaxInt64
			continue
		}
		size = size*10 + digit
	}
	m.Size = size
	return FaultNone
}

// setBody parses body-value = "7BIT" / "8BITMIME" (RFC 6152 §2).
func (m *MailParams) setBody(p Param) Fault {
	if m.Body != BodyUnspecified {
		return FaultRepeatedParameter
	}
	switch {
	case equalFold(p.Value, "7BIT"):
		m.Body = Body7Bit
	case equalFold(p.Value, "8BITMIME"):
		m.Body = Body8BitMIME
	default:
		return FaultParameterSyntax
	}
	return FaultNone
}

// setRequireTLS parses REQUIRETLS, which has no value (RFC 8689 §2).
func (m *MailParams) setRequireTLS(p Param) Fault {
	switch {
	case m.RequireTLS:
		return FaultRepeatedParameter
	case p.HasValue:
		return FaultParameterSyntax
	}
	m.RequireTLS = true
	return FaultNone
}

// setAuth checks AUTH, whose value is <> or an address as xtext (RFC 4954 §5).
func (m *MailParams) setAuth(p Param) Fault {
	switch {
	case m.hasAuth:
		return FaultRepeatedParameter
	case !p.HasValue || len(p.Value) > addAUTH:
		return FaultParameterSyntax
	}
	m.hasAuth = true
	return FaultNone
}

// ParseRcptParams checks the parameters of RCPT. No parameter is supported yet, so any
// well-formed one is FaultUnknownParameter.
func ParseRcptParams(params []byte) Fault {
	_, _, ok, fault := NextParam(params)
	if ok {
		return FaultUnknownParameter
	}
	return fault
}
