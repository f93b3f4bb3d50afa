package console

import (
	"slices"
	"strings"

	"sluice/index"
)

// corpus are texts that run, load or break out where they are not shown as text.
var corpus = []string{
	"<script>document.title='PWNED';document.cookie='pwned=1';alert(1)</script>",
	"\"><script>window.pwned=1</script>",
	"'><img src=x onerror=window.pwned=1>",
	"<img src=//evil.invalid/x.png onerror=alert(1)>",
	"<svg onload=window.pwned=1>",
	"<svg><script>window.pwned=1</script></svg>",
	"</title><script>window.pwned=1</script>",
	"</pre><script>window.pwned=1</script>",
	"</textarea><script>window.pwned=1</script>",
	"</style><style>body{display:none}</style>",
	"--><script>window.pwned=1</script><!--",
	"]]><script>window.pwned=1</script>",
	"javascript:window.pwned=1",
	"<a href=\"javascript:window.pwned=1\" autofocus onfocus=window.pwned=1>x</a>",
	"<iframe srcdoc=\"<script>parent.pwned=1</script>\"></iframe>",
	"<object data=\"data:text/html,<script>opener.pwned=1</script>\"></object>",
	"<base href=//evil.invalid/>",
	"<meta http-equiv=refresh content=0;url=//evil.invalid/>",
	"<form action=//evil.invalid/><button>x</button></form>",
	"<link rel=stylesheet href=//evil.invalid/x.css>",
	"<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=window.pwned=1&gt;\">",
	"<noscript><p title=\"</noscript><img src=x onerror=window.pwned=1>\">",
	"<template><script>window.pwned=1</script></template>",
	"<details open ontoggle=window.pwned=1>",
	"<input onfocus=window.pwned=1 autofocus>",
	"{{.}}{{template \"foot\"}}${window.pwned=1}`window.pwned=1`",
	"\" onmouseover=window.pwned=1 style=position:fixed;inset:0 x=\"",
	"&lt;script&gt;window.pwned=1&lt;/script&gt;&#60;script&#62;",
	"\u202e<script>\u2066window.pwned=1</script>",
	"+ADw-script+AD4-window.pwned=1+ADw-/script+AD4-",
	"%3Cscript%3Ewindow.pwned=1%3C/script%3E",
	"<scr\u0000ipt>window.pwned=1</scr\u0000ipt>",
	"<x onclick=window.pwned=1 \u2028\u2029>",
	"\x1b]0;PWNED\x07\x1b[2J",
}

// attacks adds a mail for each text, and then a few that have several in each place that
// is shown.
func attacks(s *fakeStore) {
	for _, text := range corpus {
		line := strings.ReplaceAll(text, "\x00", "\uFFFD") // as Clean has it
		s.add(&index.Message{
			MailFrom: line, RcptTo: []string{line + "@example.net", "victim@example.net"}, Parts: []index.Part{{Number: "1", Name: index.Text{Text: line}}},
			Header: index.Header{Subject: index.Text{Text: line}, From: []index.Address{{Name: index.Text{Text: line}, Address: line + "@example.com"}}},
		}, "Subject: "+text+"\r\n\r\n"+text+"\r\n")
	}
	for texts := range slices.Chunk(corpus, attacksOfOne) {
		text := strings.Join(texts, " ")
		line := strings.ReplaceAll(text, "\x00", "\uFFFD")
		var named []index.Address
		for _, t := range texts {
			t = strings.ReplaceAll(t, "\x00", "\uFFFD")
			named = append(named, index.Address{Name: index.Text{Text: t}, Address: t + "@example.com"})
		}
		v := verdicts("pass")
		v.SPF.Reason, v.DMARC.Reason, v.DKIM[0].Reason, v.IPRev.Name = line, line, line, line
		m := s.add(&index.Message{
			MailFrom: line, RcptTo: []string{line + "@example.net"}, Gateway: line,
			Header:  index.Header{MessageID: line, References: []string{line}, Subject: index.Text{Text: line}, From: named, To: named, Cc: named, ReplyTo: named},
			Parts:   []index.Part{{Number: "1", Type: line, Charset: line, Disposition: line, Name: index.Text{Text: line}}, {Number: line, Type: "text/html"}},
			Defects: []index.Defect{{Kind: line, Part: line}}, Verdicts: v,
		}, "Subject: "+text+"\r\nX: "+text+"\r\n\r\n"+text+"\r\n")
		m.Client.Name, m.Client.Helo, m.Client.Identity, m.Client.Protocol, m.Client.TLSCipher, m.Client.Role = line, line, line, line, line, line
		m.Blob.Bucket = line
	}
}

// attacksOfOne is the number of texts that one mail has.
const attacksOfOne = 12
