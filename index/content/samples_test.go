package content

import (
	"encoding/base64"
	"strings"
)

// sample is a message with what Read finds in it.
type sample struct {
	name    string
	message string   // \n stands for CRLF, unless raw
	raw     bool     // as it is
	parts   string   // number type "name" of each, in lines
	defects string   // kind or kind@part, separated by spaces
	text    string   // of the text parts
	python  reasons  // where Python's email package sees it otherwise, and why
	check   []string // name=value of the header
}

// reasons are why others see something otherwise, by what it is.
type reasons map[string]string

// bytes returns the message as it is read.
func (s *sample) bytes() string {
	if s.raw {
		return s.message
	}
	return strings.ReplaceAll(s.message, "\n", "\r\n")
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

var samples = []sample{
	{
		name:    "plain",
		message: "Message-ID: <1@x>\nFrom: Anna <anna@example.com>\nTo: bob@example.net\nSubject: Hi\nDate: Mon, 2 Nov 2026 10:00:00 +0100\n\nHello\nBob\n",
		parts:   `1 text/plain ""`,
		text:    "Hello\nBob\n",
		check:   []string{"id=1@x", "from=Anna <anna@example.com>", "to=bob@example.net", "subject=Hi", "date=2026-11-02T09:00:00Z"},
	},
	{
		name: "mixed",
		message: "From: a@x\nContent-Type: multipart/mixed; boundary=b\n\npreamble\n--b\nContent-Type: text/plain; charset=utf-8\n\nHello\n" +
			"--b\nContent-Type: application/pdf; name=\"a.pdf\"\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=\"a.pdf\"\n\n" + b64("pdf\x00\xff") + "\n--b--\nepilogue\n--b\n\nnot a part\n",
		parts: "1 text/plain \"\"\n2 application/pdf \"a.pdf\"",
		text:  "Hello",
	},
	{
		name: "alternative in mixed",
		message: "From: a@x\nContent-Type: multipart/mixed; boundary=\"out er\"\n\n--out er\nContent-Type: multipart/alternative; boundary=in\n\n--in\n\nplain\n" +
			"--in\nContent-Type: multipart/related; boundary=rel\n\n--rel\nContent-Type: text/html\n\n<p>html</p>\n--rel\nContent-Type: image/png; name=p.png\nContent-ID: <1>\n\nx\n--rel--\n\n--in--\n--out er\nContent-Type: text/plain\n\nfooter\n--out er--\n",
		parts: "1.1 text/plain \"\"\n1.2.1 text/html \"\"\n1.2.2 image/png \"p.png\"\n2 text/plain \"\"",
		text:  "plain\nfooter",
	},
	{
		name:    "html alone",
		message: "From: a@x\nContent-Type: text/html; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n<html><head><style>p {c: \"x\"}</style><title>T</title></head><body><p>Gr=FC=DFe, <b>An</b>na &amp; Bob</p><script>if (a<b) alert(1)</script><div>x&nbsp;y</div>=\n</body></html>\n",
		parts:   `1 text/html ""`,
		text:    "T\nGrüße, Anna & Bob\nx y",
	},
	{
		name: "message in message",
		message: "From: a@x\nSubject: Fwd\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nsee below\n--b\nContent-Type: message/rfc822; name=\"fwd.eml\"\n\n" +
			"From: c@y\nSubject: inner\nContent-Type: multipart/mixed; boundary=b2\n\n--b2\nContent-Type: text/plain\n\ninner text\n--b2\nContent-Type: application/zip; name=z.zip\nContent-Transfer-Encoding: base64\n\nAAAA\n--b2--\n\n--b\nContent-Type: message/rfc822\n\nFrom: d@z\n\nleaf\n--b--\n",
		parts: "1 text/plain \"\"\n2 message/rfc822 \"fwd.eml\"\n2.1 text/plain \"\"\n2.2 application/zip \"z.zip\"\n3 message/rfc822 \"\"\n3.1 text/plain \"\"",
		text:  "see below\ninner text\nleaf",
	},
	{
		name:    "digest",
		message: "From: a@x\nContent-Type: multipart/digest; boundary=b\n\n--b\n\nFrom: c@y\nSubject: one\n\nfirst\n--b\nContent-Type: text/plain\n\nnote\n--b--\n",
		parts:   "1 message/rfc822 \"\"\n1.1 text/plain \"\"\n2 text/plain \"\"",
		text:    "first\nnote",
	},
	{
		name:    "message as message",
		message: "From: a@x\nContent-Type: message/rfc822\n\nFrom: b@x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n",
		parts:   "1 message/rfc822 \"\"\n1.1 text/plain \"\"",
		text:    "one",
	},
	{
		name:    "LF only",
		raw:     true,
		message: "From: a@x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\nContent-Type: text/x\n\ntwo\n--b--\n",
		parts:   "1 text/plain \"\"\n2 text/x \"\"",
		text:    "one",
	},
	{
		name:    "mixed line ends",
		raw:     true,
		message: "From: a@x\r\nContent-Type: multipart/mixed;\n boundary=b\r\n\n--b\r\n\none\n--b\nContent-Type: text/x\r\n\r\ntwo\r\n--b--\n",
		parts:   "1 text/plain \"\"\n2 text/x \"\"",
		text:    "one",
	},
	{name: "empty", message: "", parts: `1 text/plain ""`, defects: "header"},
	{name: "no header", message: "Hello Bob,\nthis is no header.\n", parts: `1 text/plain ""`, defects: "header", text: "Hello Bob,\nthis is no header.\n"},
	{name: "header alone", message: "From: a@x\nSubject: s\n", parts: `1 text/plain ""`, check: []string{"subject=s"}},
	{
		name: "header without colon", message: "From: a@x\nthis is no field\nSubject: s\n\ntext\n", parts: `1 text/plain ""`,
		defects: "header", text: "text\n", check: []string{"subject=s"}, python: reasons{
			"1 bytes": "it takes the text to begin with the malformed line", "subject": "likewise",
		},
	},
	{
		name: "no blank line", message: "From: a@x\nSubject: s\nHello Bob\nhow are you\n", parts: `1 text/plain ""`,
		defects: "header", text: "Hello Bob\nhow are you\n", check: []string{"subject=s"},
	},
	{name: "mbox line", message: "From a@x Mon Nov  2 10:00:00 2026\nFrom: a@x\n\ntext\n", parts: `1 text/plain ""`, defects: "header", text: "text\n", check: []string{"from=a@x"}},
	{name: "first field without its name", message: " by x\n\twith y\nSubject: s\n\ntext\n", parts: `1 text/plain ""`, defects: "header", text: "text\n", check: []string{"subject=s"}},
	{name: "indented text", message: " Hello\n\nBob: hi\n", parts: `1 text/plain ""`, defects: "header", text: " Hello\n\nBob: hi\n", python: reasons{"1 bytes": "it takes an indented line for part of a header"}},
	{name: "space before colon", message: "From : a@x\nSubject\t: s\n\ntext\n", parts: `1 text/plain ""`, text: "text\n", check: []string{"from=a@x", "subject=s"}, python: reasons{
		"1 bytes": "it takes such a line for text", "subject": "likewise", "from": "likewise",
	}},
	{
		name:    "end is missing",
		message: "From: a@x\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\none\n--b\n\ntwo\n",
		parts:   "1.1 text/plain \"\"\n2 text/plain \"\"", defects: "boundary@1 boundary", text: "one\ntwo\n",
		python: reasons{"2 bytes": "it leaves the last line end to the boundary that is missing"},
	},
	{name: "no boundary parameter", message: "From: a@x\nContent-Type: multipart/mixed\n\n--b\n\none\n--b--\n", parts: `1 multipart/mixed ""`, defects: "boundary", text: "--b\n\none\n--b--\n"},
	{name: "empty boundary", message: "From: a@x\nContent-Type: multipart/mixed; boundary=\"\"\n\n--\n\none\n----\n", parts: `1 multipart/mixed ""`, defects: "boundary", text: "--\n\none\n----\n", python: reasons{
		"1 type": "it takes -- for a boundary", "1 bytes": "likewise",
	}},
	{name: "boundary does not occur", message: "From: a@x\nContent-Type: multipart/mixed; boundary=b\n\n--c\n\none\n--c--\n", parts: `1 multipart/mixed ""`, defects: "boundary", text: "--c\n\none\n--c--\n"},
	{
		name:    "boundaries begin alike",
		message: "From: a@x\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=bb\n\n--bb\n\none\n--bbb\n--bb-\n--bb--\n--b\n\ntwo\n--b--\n",
		parts:   "1.1 text/plain \"\"\n2 text/plain \"\"", text: "one\n--bbb\n--bb-\ntwo",
	},
	{
		name:    "equal boundaries",
		message: "From: a@x\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n\n--b\n\ntwo\n--b--\n",
		parts:   "1 multipart/mixed \"\"\n2 text/plain \"\"", defects: "boundary@1", text: "one",
	},
	{
		name:    "broken Content-Type of one part",
		message: "From: a@x\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: ;;; text=plain; name=\"a b.txt\n\none\n--b\nContent-Type: text/plain\n\ntwo\n--b--\n",
		parts:   "1 text/plain \"a b.txt\"\n2 text/plain \"\"", defects: "content_type@1", text: "one\ntwo",
	},
	{
		name:    "unknown charset and encoding",
		message: "From: a@x\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain; charset=klingon\n\none\n--b\nContent-Type: text/plain\nContent-Transfer-Encoding: x-rot13\n\ntwo\n--b--\n",
		parts:   "1 text/plain \"\"\n2 text/plain \"\"", defects: "charset@1 encoding@2", text: "one\ntwo",
	},
	{
		name:    "broken base64",
		message: "From: a@x\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\nContent-Transfer-Encoding: base64\n\nSGVs\n bG8*h\n--b\nContent-Type: text/plain\nContent-Transfer-Encoding: base64\n\nSGVsbG8=\nSGVsbG8=\n--b\nContent-Type: text/plain\nContent-Transfer-Encoding: base64\n\nSGVsbG8\n--b--\n",
		parts:   "1 text/plain \"\"\n2 text/plain \"\"\n3 text/plain \"\"", defects: "encoding@1 encoding@3", text: "Hello!\nHelloHello\nHello", python: reasons{"2 bytes": "it stops at the first padding"},
	},
	{
		name:    "broken quoted-printable",
		message: "From: a@x\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\na=3Db =XX=e4= \nc \t\n=",
		parts:   `1 text/plain ""`, defects: "charset@1 encoding@1", text: "a=b =XXäc\n", python: reasons{"1 bytes": "it keeps white space at the end of lines, against RFC 2045 §6.7"},
	},
	{
		name:    "names",
		message: "From: a@x\nContent-Type: multipart/mixed; boundary=b\n" + nameParts(),
		parts:   nameWants(), defects: "content_type@11 content_type@12 content_type@13 disposition@17 charset@18",
		python: reasons{
			"3 name": "it ignores filename* beside filename", "8 name": "it takes the first word", "10 name": "it drops backslashes that quote nothing",
			"11 name": "it ends at the first quote", "18 name": "it does not guess a charset",
		},
	},
	{
		name: "encoded subject",
		message: "From: =?utf-8?Q?M=C3=BCller=2C_Anna?= <anna@example.com>\nTo: \"=?iso-8859-1?q?J=F6rg?=\" <joerg@example.net>, =?utf-8?B?" + b64("Zoë, X") + "?= <zoe@example.net>\n" +
			"Subject: =?utf-8?B?" + base64.StdEncoding.EncodeToString([]byte("Gr\xc3")) + "?=\n =?utf-8?B?" + base64.StdEncoding.EncodeToString([]byte("\xbc\xc3\x9fe")) + "?= and =?iso-2022-jp?B?GyRCQEE1YT1xGyhC?=\n\nx\n",
		parts: `1 text/plain ""`, text: "x\n",
		check: []string{"from=Müller, Anna <anna@example.com>", "to=Jörg <joerg@example.net>|Zoë, X <zoe@example.net>", "subject=Grüße and 請求書"},
	},
	{
		name:    "unencoded header",
		message: "From: M\xfcller <m@x>\nTo: Zoë <z@x>\nSubject: Gr\xfc\xdfe\n\nGr\xfc\xdfe\n",
		parts:   `1 text/plain ""`, defects: "address charset charset@1", text: "Grüße\n",
		check: []string{"from=Müller <m@x>", "to=Zoë <z@x>", "subject=Grüße"}, python: reasons{"subject": "it does not guess a charset", "from": "likewise", "to": "likewise"},
	},
	{
		name:    "addresses",
		message: "From: \"Doe, John\" (the CEO) <john@example.com>\nTo: A Group: a@x, \"B\" <b@x>;, undisclosed-recipients:;\nCc: c@x (Carl), <@relay,@other:d@x>, \"quoted local\"@x, e@[IPv6:::1]\nReply-To: <f@x>\n\nx\n",
		parts:   `1 text/plain ""`, text: "x\n",
		check: []string{"from=Doe, John <john@example.com>", "to=a@x|B <b@x>", "cc=Carl <c@x>|d@x|\"quoted local\"@x|e@[IPv6:::1]", "reply=f@x"}, python: reasons{"cc": "it does not take a comment for a name"},
	},
	{
		name:    "broken addresses",
		message: "From: \"Anna <anna@x>\nTo: Bob bob@x; Carl <carl@x\nCc: <<d@x>>, Doe, John <j@x>, =?utf-8?Q?Foo,_Bar?= <g@x>, h@x i@x\n\nx\n",
		parts:   `1 text/plain ""`, defects: "address", text: "x\n",
		check: []string{"from=\"Anna <anna@x>", "to=Bob <bob@x>|Carl <carl@x>", "cc=d@x|Doe|John <j@x>|Foo, Bar <g@x>|i@x <h@x>"}, python: reasons{
			"from": "it finds no address", "to": "likewise", "cc": "likewise",
		},
	},
	{
		name:    "references",
		message: "From: a@x\nMessage-ID:\n <1@x>\nReferences: <2@x>\n\t<3@x> <2@x>\nIn-Reply-To: Your mail <3@x> of Monday <4@x>\nDate: nonsense\nSubject: one\nSubject: two\n\nx\n",
		parts:   `1 text/plain ""`, defects: "date header", text: "x\n", check: []string{"id=1@x", "refs=2@x 3@x 4@x", "subject=one"},
	},
	{
		name:    "calendar, signature, winmail.dat",
		message: "From: a@x\nContent-Type: multipart/signed; boundary=b; protocol=\"application/pkcs7-signature\"; micalg=sha-256\n\n--b\nContent-Type: text/calendar; method=REQUEST; charset=UTF-8; name=\"invite.ics\"\n\nBEGIN:VCALENDAR\n--b\nContent-Type: application/ms-tnef; name=\"winmail.dat\"\nContent-Transfer-Encoding: base64\n\neJ8+\n--b\nContent-Type: application/pkcs7-signature; name=smime.p7s\nContent-Transfer-Encoding: base64\n\nAAAA\n--b--\n",
		parts:   "1 text/calendar \"invite.ics\"\n2 application/ms-tnef \"winmail.dat\"\n3 application/pkcs7-signature \"smime.p7s\"",
	},
	{
		name:    "utf-7 and Japanese text",
		message: "From: a@x\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain; charset=utf-7\n\nHi +2D3eAA- Mom +Jjo--!+-\n--b\nContent-Type: text/plain; charset=ISO-2022-JP\n\n\x1b$B@A5a=q\x1b(B\n--b\nContent-Type: text/plain; charset=Shift_JIS\nContent-Transfer-Encoding: base64\n\nkL+LgY+R\n--b--\n",
		parts:   "1 text/plain \"\"\n2 text/plain \"\"\n3 text/plain \"\"", text: "Hi 😀 Mom ☺-!+\n請求書\n請求書",
	},
	{
		name:    "encoded message",
		message: "From: a@x\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n" + b64("From: b@x\r\nContent-Type: text/plain; name=n.txt\r\n\r\nhidden\r\n") + "\n",
		parts:   "1 message/rfc822 \"\"\n1.1 text/plain \"n.txt\"", defects: "encoding@1", text: "hidden\n", python: reasons{
			"1.1 name": "it does not decode messages", "1.1 bytes": "likewise",
		},
	},
	{
		name:    "name without end",
		message: "From: a@x\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain; name=\"" + strings.Repeat("n", 1<<20) + "\"\nContent-Transfer-Encoding: base64\n\n" + b64("text") + "\n--b--\n",
		parts:   `1 text/plain "` + strings.Repeat("n", maxKept) + `"`, defects: "content_type@1 header@1", text: "text", python: reasons{"1 name": "it has no bounds"},
	},
	{
		name:    "multipart with an encoding",
		message: "From: a@x\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: quoted-printable\n\n--b\n\none\n--b--\n",
		parts:   `1 text/plain ""`, defects: "encoding", text: "one",
	},
}

// nameParam is a Content-Type or Content-Disposition, and the name that is in it.
type nameParam struct{ field, want string }

var nameParams = []nameParam{
	{`Content-Disposition: attachment; filename="Rechnung Mai.pdf"`, "Rechnung Mai.pdf"},
	{`Content-Disposition: attachment; filename*=UTF-8''R%C3%A4tsel%20%E2%82%AC.pdf`, "Rätsel €.pdf"},
	{`Content-Disposition: attachment; filename="fallback.pdf"; filename*=iso-8859-1'de'gr%fc%dfe.pdf`, "grüße.pdf"},
	{"Content-Disposition: attachment;\n filename*1=\"zwei \"; filename*0*=utf-8''eins%20%C3%A4; filename*2*=drei%C3%9f.txt", "eins äzwei dreiß.txt"},
	{`Content-Disposition: attachment; filename="=?utf-8?Q?R=C3=A4tsel_=E2=82=AC.pdf?="`, "Rätsel €.pdf"},
	{"Content-Disposition: attachment; filename=\"=?iso-2022-jp?B?GyRCQEE1YRsoQg==?=\n =?iso-2022-jp?B?GyRCPXEbKEI=?=.pdf\"", "請求書.pdf"},
	{`Content-Disposition: attachment; filename="Rätsel.pdf"`, "Rätsel.pdf"},
	{`Content-Type: application/octet-stream; name=Rechnung Mai (1).pdf`, "Rechnung Mai (1).pdf"},
	{`Content-Disposition: attachment; filename="a \"b\" \\ c.txt"`, `a "b" \ c.txt`},
	{`Content-Disposition: attachment; filename="C:\dir\a.txt"`, `C:\dir\a.txt`},
	{`Content-Type: application/octet-stream; name="a "b" c.txt"`, `a "b" c.txt`},
	{`Content-Type: application/octet-stream; name="a.txt" charset=utf-8`, "a.txt"},
	{`Content-Type: application/octet-stream; name="a.txt`, "a.txt"},
	{`Content-Disposition: attachment; filename="../../etc/passwd"`, "../../etc/passwd"},
	{"Content-Type: application/octet-stream; name=type.txt\nContent-Disposition: attachment; filename=disposition.txt", "disposition.txt"},
	{`Content-Type: application/octet-stream; name*=koi8-r''%F3%DE%A3%D4.doc`, "Счёт.doc"},
	{`Content-Disposition: filename=a.txt`, "a.txt"},
	{"Content-Disposition: attachment; filename=\"Gr\xfc\xdfe.txt\"", "Grüße.txt"},
}

func nameParts() string {
	var b strings.Builder
	b.WriteString("\n")
	for _, n := range nameParams {
		b.WriteString("--b\n")
		if !strings.HasPrefix(n.field, "Content-Type") {
			b.WriteString("Content-Type: application/octet-stream\n")
		}
		b.WriteString(n.field + "\n\nx\n")
	}
	return b.String() + "--b--\n"
}

func nameWants() string {
	lines := make([]string, 0, len(nameParams))
	for i, n := range nameParams {
		lines = append(lines, child("", i+1)+` application/octet-stream "`+n.want+`"`)
	}
	return strings.Join(lines, "\n")
}
