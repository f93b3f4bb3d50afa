package tlscodec

import (
	"bytes"
	"crypto/tls"
	"reflect"
	"sync"
	"unsafe"
)

// crypto/tls never gives back the buffer of its largest record (golang/go#43563): 18 KiB
// of each idle connection that has once sent a full record. So a connection is lent a
// buffer while it opens a record and has none otherwise, and what the handshake needed is
// dropped behind it (docs/decisions.md, A connection is lent the buffer of its record).
//
// This reaches into tls.Conn. It is done only while both buffers are empty, and only if
// the fields have the names and types that they are known by; otherwise crypto/tls keeps
// its buffers as it likes.

// layout is where tls.Conn has its buffers.
type layout struct {
	rawInput uintptr // bytes.Buffer: the record that is read
	input    uintptr // bytes.Reader: its text, in the memory of rawInput
	hand     uintptr // bytes.Buffer: messages of the handshake's protocol
}

// fields is the layout, and lending reports whether there is one.
var fields, lending = findLayout(reflect.TypeFor[tls.Conn]())

func findLayout(conn reflect.Type) (l layout, ok bool) {
	for _, field := range []struct {
		name   string
		kind   reflect.Type
		offset *uintptr
	}{
		{"rawInput", reflect.TypeFor[bytes.Buffer](), &l.rawInput},
		{"input", reflect.TypeFor[bytes.Reader](), &l.input},
		{"hand", reflect.TypeFor[bytes.Buffer](), &l.hand},
	} {
		found, ok := conn.FieldByName(field.name)
		if !ok || len(found.Index) != 1 || found.Type != field.kind {
			return layout{}, false
		}
		*field.offset = found.Offset
	}
	return l, true
}

// buffers returns the buffers of a connection. Its layout must be known.
func buffers(c *tls.Conn) (rawInput, hand *bytes.Buffer, input *bytes.Reader) {
	at := unsafe.Pointer(c)
	return (*bytes.Buffer)(unsafe.Add(at, fields.rawInput)),
		(*bytes.Buffer)(unsafe.Add(at, fields.hand)),
		(*bytes.Reader)(unsafe.Add(at, fields.input))
}

// lentLen is the size of a buffer that is lent. A record of the largest size fits, and
// crypto/tls wants 512 octets of room beside its header.
const lentLen = headerLen + maxText + 2048 + bytes.MinRead

// lent are the buffers that no connection has.
var lent = sync.Pool{New: func() any { b := make([]byte, 0, lentLen); return &b }}

// lend lends a buffer to a connection that has none.
func (c *Conn) lend() *[]byte {
	if !lending {
		return nil
	}
	rawInput, _, _ := buffers(c.tls)
	if rawInput.Len() > 0 || rawInput.Cap() > 0 {
		return nil
	}
	b := lent.Get().(*[]byte)
	*rawInput = *bytes.NewBuffer(*b)
	return b
}

// takeBack takes the buffer back, unless crypto/tls still has something in it.
func (c *Conn) takeBack(b *[]byte) {
	if b == nil {
		return
	}
	if c.dropBuffers() {
		lent.Put(b)
	}
}

// dropBuffers takes all buffers from a connection, and reports whether it could.
func (c *Conn) dropBuffers() bool {
	if !lending {
		return false
	}
	rawInput, hand, input := buffers(c.tls)
	if rawInput.Len() > 0 || input.Len() > 0 {
		return false
	}
	*rawInput = bytes.Buffer{}
	input.Reset(nil)
	if hand.Len() == 0 {
		*hand = bytes.Buffer{}
	}
	return true
}
