package pipeline

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sluice/codec"
)

// eventSize is what EventBound bounds.
func eventSize(m *Message) int64 {
	size := int64(keySize + len(AppendEvent(nil, m)))
	for _, h := range AppendEventHeaders(nil, m) {
		size += int64(len(h.Key) + len(h.Value))
	}
	return size
}

// extremeMessage has each of its fields as long as it can be.
func extremeMessage() *Message {
	m := &Message{ReceivedAt: time.Now()}
	m.Gateway = strings.Repeat("g", 255)
	m.Client = Client{
		Address: netip.MustParseAddrPort("[fe80:1111:2222:3333:4444:5555:6666:7777%interfacename15]:65535"),
		Helo:    strings.Repeat("\x01\"\xff", 170), Protocol: "UTF8SMTPSA",
	}
	m.Envelope.SetReversePath([]byte(`"a\"b"@example.org`))
	m.Envelope.Body, m.Envelope.SizeDeclared = codec.Body8BitMIME, math.MaxInt64
	m.Report.LongestLine = math.MaxInt
	m.Summary.MessageID = []byte(strings.Repeat("\x00\xe2\x82\x00", 249))
	m.Result.Blob = Blob{
		Store: "discard", Key: m.Key(), Container: ContainerTar,
		Offset: math.MaxInt64, Length: math.MaxInt64, CRC32C: math.MaxUint32,
	}
	return m
}

// TestEventBound: no event is larger than was said before it was stored, and what is
// refused without need is no more than the reserve and the longest numbers.
func TestEventBound(t *testing.T) {
	for name, m := range map[string]*Message{"plain": extremeMessage(), "proxied": proxiedMessage(), "submitted": submittedMessage()} {
		t.Run(name, func(t *testing.T) { checkEventBound(t, m) })
	}
}

// proxiedMessage is extremeMessage of a client that a load balancer named.
func proxiedMessage() *Message {
	m := extremeMessage()
	m.Client.Proxy = &Proxy{
		Address: m.Client.Address.Addr(), Name: strings.Repeat("\x01", 255), Authority: strings.Repeat("\"", 4000), UniqueID: strings.Repeat("ff", 128),
		TLS: &codec.ProxyTLS{Version: "\x01", Cipher: "\\", CommonName: strings.Repeat("\xff", 300)},
	}
	return m
}

// submittedMessage is extremeMessage of a client that has authenticated.
func submittedMessage() *Message {
	m := extremeMessage()
	m.Client.Role = RoleSubmission
	m.Client.Auth = &Auth{Mechanism: "OAUTHBEARER", Identity: strings.Repeat("\x01", 255), Backend: "oidc-token", Issuer: strings.Repeat("\"", 300)}
	return m
}

func checkEventBound(t *testing.T, m *Message) {
	bound := m.EventBound()
	for i := range 50 {
		if size := eventSize(m) + VerdictReserve; size > m.EventBound() {
			t.Fatalf("%d recipients: %d bytes, bound %d", i, size, m.EventBound())
		} else if m.EventBound()-size > 100 {
			t.Fatalf("%d recipients: bound %d is far above %d", i, m.EventBound(), size)
		}
		address := []byte(`"` + strings.Repeat(`\"`, i) + "\xc3\x28\u2028\x7f" + `"@example.net`)
		want := m.EventBound() + RecipientBound(address)
		m.Envelope.AddRecipient(address)
		if got := m.EventBound(); got != want || got <= bound {
			t.Fatalf("bound %d, want %d, after %d", got, want, bound)
		}
		bound = m.EventBound()
	}
	m.Result.Blob.Length, m.Result.Blob.Added = math.MaxInt64, math.MaxInt64-1
	if eventSize(m) > bound {
		t.Error("what Sluice adds is not within the bound")
	}
	m.Reset()
	m.Envelope.SetReversePath(nil)
	m.Gateway, m.Client = "", Client{}
	if got := m.EventBound(); got != eventFrame+VerdictReserve {
		t.Errorf("a message that was reset has %d bytes", got)
	}
}

// TestTextSize counts what appendString writes, for any bytes.
func TestTextSize(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	alphabet := []byte("ab\"\\\x00\x1f\x7f\x80\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xff")
	for range 20_000 {
		text := make([]byte, random.IntN(12))
		for i := range text {
			text[i] = alphabet[random.IntN(len(alphabet))]
		}
		want := int64(len(appendString(nil, text)) - 2)
		if textSize(text) != want || textSize(string(text)) != want {
			t.Fatalf("%q: %d and %d, want %d", text, textSize(text), textSize(string(text)), want)
		}
	}
	m := extremeMessage()
	if n := testing.AllocsPerRun(100, func() { m.EventBound() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
