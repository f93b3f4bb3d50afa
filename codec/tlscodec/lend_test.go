package tlscodec

import (
	"bytes"
	"crypto/tls"
	"reflect"
	"testing"

	"sluice/internal/testkit"
)

// TestLayoutIsChecked shows that nothing is done to a tls.Conn whose buffers have other
// names or types.
func TestLayoutIsChecked(t *testing.T) {
	buffer, reader := reflect.TypeFor[bytes.Buffer](), reflect.TypeFor[bytes.Reader]()
	conn := func(raw string, kind reflect.Type, last string) reflect.Type {
		var fields []reflect.StructField
		for name, kind := range map[string]reflect.Type{raw: kind, "input": reader, last: buffer} {
			fields = append(fields, reflect.StructField{Name: name, Type: kind, PkgPath: "tls"})
		}
		return reflect.StructOf(fields)
	}
	for _, unknown := range []reflect.Type{
		conn("raw", buffer, "hand"), conn("rawInput", reflect.PointerTo(buffer), "hand"),
		conn("rawInput", reader, "hand"), conn("rawInput", buffer, "handshake"),
	} {
		if _, ok := findLayout(unknown); ok {
			t.Errorf("%v is taken for a tls.Conn", unknown)
		}
	}
	known := conn("rawInput", buffer, "hand")
	l, ok := findLayout(known)
	for name, offset := range map[string]uintptr{"rawInput": l.rawInput, "input": l.input, "hand": l.hand} {
		if field, _ := known.FieldByName(name); !ok || field.Offset != offset {
			t.Errorf("%s is at %d, not at %d", name, field.Offset, offset)
		}
	}
}

// TestBuffersAreTakenBack looks into a connection between records.
func TestBuffersAreTakenBack(t *testing.T) {
	for version, number := range versions {
		p := shaken(t, serverConfig(testkit.ECDSAPair()), clientConfig(number))
		for _, size := range []int{0, 1, maxText} {
			for _, record := range p.send(t, make([]byte, size)) {
				if _, err := p.server.Open(nil, record); err != nil {
					t.Fatal(err)
				}
			}
			rawInput, hand, input := buffers(p.server.tls)
			if rawInput.Cap() > 0 || hand.Cap() > 0 || input.Size() > 0 {
				t.Errorf("%s: after a text of %d octets it holds %d, %d and %d", version, size, rawInput.Cap(), hand.Cap(), input.Size())
			}
		}
	}
}

// TestLentBufferIsLargeEnough opens a record of the largest size without another buffer.
func TestLentBufferIsLargeEnough(t *testing.T) {
	theirs := clientConfig(tls.VersionTLS12)
	theirs.DynamicRecordSizingDisabled = true
	p := shaken(t, serverConfig(testkit.ECDSAPair()), theirs)
	record := p.send(t, make([]byte, maxText))[0]
	b := p.server.lend()
	p.server.memory.in, p.server.memory.record = record, len(record)
	if n, err := p.server.tls.Read(make([]byte, maxText)); n != maxText || err != nil {
		t.Fatal(n, err)
	}
	if rawInput, _, _ := buffers(p.server.tls); rawInput.Cap() == 0 || rawInput.Cap() > cap(*b) {
		t.Errorf("a buffer of %d octets was not enough, it is %d", cap(*b), rawInput.Cap())
	}
	p.server.takeBack(b)
}
