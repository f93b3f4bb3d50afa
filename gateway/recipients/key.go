package recipients

import "bytes"

// key is an address in the form in which addresses are compared: in lower case, and the
// local part without the quotes and backslashes of a quoted string (RFC 5321 §4.1.2). The
// last @ in it begins the domain.
type key struct {
	text  [maxAddress]byte
	local int // length of the local part
	end   int
}

// set makes k the key of an address, or of a whole domain if local is empty. It reports
// whether the address is not too long.
func (k *key) set(local, domain []byte) bool {
	if len(local)+1+len(domain) > maxAddress {
		return false
	}
	k.end = 0
	if len(local) > 1 && local[0] == '"' {
		for i := 1; i < len(local)-1; i++ {
			if local[i] == '\\' {
				i++
			}
			k.push(local[i])
		}
	} else {
		for _, c := range local {
			k.push(c)
		}
	}
	k.local = k.end
	k.push('@')
	for _, c := range domain {
		k.push(c)
	}
	return true
}

func (k *key) push(c byte) {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	k.text[k.end] = c
	k.end++
}

// bytes returns the key of the address.
func (k *key) bytes() []byte { return k.text[:k.end] }

// domain returns the key of the whole domain.
func (k *key) domain() []byte { return k.text[k.local:k.end] }

// cut removes what follows a delimiter in the local part, from the delimiter on. It
// reports whether something was removed. A delimiter that begins the local part does not
// count.
func (k *key) cut(delimiter byte) bool {
	if delimiter == 0 {
		return false
	}
	i := bytes.IndexByte(k.text[:k.local], delimiter)
	if i <= 0 {
		return false
	}
	k.end = i + copy(k.text[i:], k.text[k.local:k.end])
	k.local = i
	return true
}
