package s3

import (
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"sluice/pipeline"
)

const (
	// Names of user metadata, without the prefix x-amz-meta-.
	metaOrigin   = "sluice-origin"      // pipeline.AppendOrigin, JSON in ASCII
	metaAdded    = "sluice-added"       // blob.added, in bytes
	metaReceived = "sluice-received-at" // RFC 3339

	// maxMetadata bounds names and values together, in bytes. S3 accepts 2 KB; MinIO
	// refused 4,000 bytes. An envelope that does not fit is left out.
	maxMetadata = 1500

	headerChecksum          = "x-amz-checksum-crc32c"
	headerChecksumAlgorithm = "x-amz-checksum-algorithm"
	headerChecksumType      = "x-amz-checksum-type"
	fullObject              = "FULL_OBJECT"
)

// checksum returns a CRC32C in the form that S3 uses.
func checksum(crc uint32) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc))
}

// metadata returns the user metadata of a whole message's object, from which its event can
// be rebuilt.
func metadata(m *pipeline.Message) map[string]string {
	all := make(map[string]string, 6)
	all[metaAdded] = strconv.Itoa(len(m.Header))
	all[metaReceived] = m.ReceivedAt.UTC().Format(time.RFC3339Nano)
	addOrigin(all, m, len(metaAdded)+len(all[metaAdded])+len(metaReceived)+len(all[metaReceived]))
	return all
}

// partMetadata returns the user metadata of the object of a message that leaves in parts.
// It is made while more of the message arrives, so it is only the origin. The trace field at
// the top of the object, which has the id, holds the rest.
func partMetadata(m *pipeline.Message) map[string]string {
	all := make(map[string]string, 4)
	addOrigin(all, m, 0)
	return all
}

// addOrigin adds the origin of a message to metadata of so many bytes, if there is room.
func addOrigin(all map[string]string, m *pipeline.Message, size int) {
	if m.Envelope.Text() > maxMetadata { // not worth encoding
		return
	}
	origin := asciiJSON(pipeline.AppendOrigin(nil, m))
	if size+len(metaOrigin)+len(origin) <= maxMetadata {
		all[metaOrigin] = origin
	}
}

// asciiJSON returns a JSON text in pure ASCII, as header fields require. Other characters
// become \u escapes (RFC 8259 §7); only strings can contain them.
func asciiJSON(text []byte) string {
	dst := make([]byte, 0, len(text)+16)
	for len(text) > 0 {
		if c := text[0]; c < utf8.RuneSelf && c != 0x7f {
			dst, text = append(dst, c), text[1:]
			continue
		}
		r, n := utf8.DecodeRune(text)
		text = text[n:]
		if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
			dst = appendEscape(appendEscape(dst, high), low)
			continue
		}
		dst = appendEscape(dst, r)
	}
	return string(dst)
}

func appendEscape(dst []byte, r rune) []byte {
	const hexDigits = "0123456789abcdef"
	return append(dst, '\\', 'u',
		hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}
