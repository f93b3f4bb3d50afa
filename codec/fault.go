package codec

// Fault is an error in the input. One enumeration serves lines, arguments and parameters,
// so that a session maps it to a reply, and metrics to a label, in one place each.
type Fault uint8

const (
	// FaultNone is the zero value: the input is valid.
	FaultNone Fault = iota
	// FaultBareCR is a CR that no LF follows (RFC 5321 §2.3.8).
	FaultBareCR
	// FaultBareLF is an LF that no CR precedes, or the line after one. Neither is ever
	// executed (RFC 5321 §2.3.8, §4.1.1.4).
	FaultBareLF
	// FaultNUL is a NUL octet in a command. Commands consist of ASCII characters (RFC
	// 5321 §4.1.1), and NUL ends a string in too many programs downstream.
	FaultNUL
	// FaultEightBit is an octet above 127 in a command (RFC 5321 §2.4).
	FaultEightBit
	// FaultLineTooLong is a line over the limit of its verb (RFC 5321 §4.5.3.1.4).
	FaultLineTooLong
	// FaultEmpty is a line that is empty or holds only white space.
	FaultEmpty
	// FaultSyntax is an argument that does not follow its grammar
	// (RFC 5321 §4.1.2).
	FaultSyntax
	// FaultPathTooLong is a path of more than 256 octets (RFC 5321 §4.5.3.1.3).
	FaultPathTooLong
	// FaultLocalPartTooLong is a local part of more than 64 octets (RFC 5321 §4.5.3.1.1).
	FaultLocalPartTooLong
	// FaultDomainTooLong is a domain of more than 255 octets (RFC 5321
	// §4.5.3.1.2) or with a label of more than 63 (RFC 1035 §2.3.4).
	FaultDomainTooLong
	// FaultUnknownParameter is an unknown ESMTP parameter (RFC 5321 §4.1.1.11: 555).
	FaultUnknownParameter
	// FaultRepeatedParameter is an ESMTP parameter that appears twice (501).
	FaultRepeatedParameter
	// FaultParameterSyntax is a parameter that does not follow the grammar of esmtp-param
	// (RFC 5321 §4.1.2), or whose value does not follow the grammar of its keyword.
	FaultParameterSyntax
	faultCount
)

// FaultCount is the number of faults, including FaultNone: the length of a table that is
// indexed by Fault.
const FaultCount = int(faultCount)

var faultNames = [faultCount]string{
	FaultNone: "none", FaultBareCR: "bare_cr", FaultBareLF: "bare_lf", FaultNUL: "nul",
	FaultEightBit: "eight_bit", FaultLineTooLong: "line_too_long", FaultEmpty: "empty",
	FaultSyntax: "syntax", FaultPathTooLong: "path_too_long",
	FaultLocalPartTooLong: "local_part_too_long", FaultDomainTooLong: "domain_too_long",
	FaultUnknownParameter: "unknown_parameter", FaultRepeatedParameter: "repeated_parameter",
	FaultParameterSyntax: "parameter_syntax",
}

// String returns the fault in snake_case, for metric labels and logs.
func (f Fault) String() string {
	if f >= faultCount {
		return "invalid"
	}
	return faultNames[f]
}
