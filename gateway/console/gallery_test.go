package console

import (
	"fmt"
	"net/netip"
	"strings"

	"sluice/index"
	"sluice/pipeline"
)

// gallery is a store with mail as it comes: long subjects, many scripts, many recipients.
func gallery() *fakeStore {
	s := &fakeStore{}
	for i := range 40 {
		s.add(&index.Message{
			MailFrom: fmt.Sprintf("bounce+%d@lists.example.org", i), RcptTo: []string{"team@example.net"},
			Header:   index.Header{Subject: text(fmt.Sprintf("Build #%d passed", 4100+i)), From: mailboxOf("Build Robot", "ci@example.org")},
			Verdicts: verdicts("pass"),
		}, "Subject: Build\r\n\r\nAll tests passed.\r\n")
	}
	s.add(&index.Message{MailFrom: "", RcptTo: []string{"bounces@example.net"},
		Header:   index.Header{Subject: text("Undelivered Mail Returned to Sender"), From: mailboxOf("Mail Delivery System", "mailer-daemon@mx.example.org")},
		Parts:    []index.Part{{Number: "1", Type: "text/plain", Charset: "us-ascii", Size: 712}, {Number: "2", Type: "message/delivery-status", Size: 402}, {Number: "3", Type: "message/rfc822", Size: 5120, Disposition: "attachment"}},
		Verdicts: &pipeline.Verdicts{Disposition: "accept", SPF: pipeline.SPFVerdict{Result: "none", Identity: "helo"}, DMARC: pipeline.DMARCVerdict{Result: "none"}, IPRev: pipeline.IPRevVerdict{Result: "fail"}}},
		"Subject: Undelivered\r\n\r\nI'm sorry to have to inform you …\r\n")
	s.add(&index.Message{MailFrom: "noreply@accounts-example.top", RcptTo: []string{"carla.espinosa@example.net"},
		Header:   index.Header{Subject: text("Ihr Konto wurde eingeschränkt – bitte bestätigen Sie Ihre Daten innerhalb von 24 Stunden"), From: mailboxOf("Example Bank AG", "service@example.com")},
		Verdicts: verdicts("fail"), Parts: []index.Part{{Number: "1", Type: "text/html", Charset: "utf-8", Size: 18733}}},
		"Subject: Konto\r\n\r\nKlicken Sie hier.\r\n")
	s.add(&index.Message{MailFrom: "keiri@example.jp", RcptTo: []string{"purchasing@example.net", "bob.jones@example.net"},
		Header:   index.Header{Subject: text("【重要】2026年11月分 請求書送付のご案内（株式会社サンプル商事）"), From: mailboxOf("佐藤 健一", "keiri@example.jp")},
		Parts:    []index.Part{{Number: "1", Type: "text/plain", Charset: "iso-2022-jp", Size: 922}, {Number: "2", Type: "application/pdf", Disposition: "attachment", Name: text("請求書_2026-11.pdf"), Size: 182044}},
		Verdicts: verdicts("pass")}, "Subject: x\r\n\r\n平素より大変お世話になっております。\r\n")
	s.add(&index.Message{MailFrom: "l.haddad@example.ae", RcptTo: []string{"sales@example.net"},
		Header:   index.Header{Subject: text("فاتورة رقم ٤٧١١ لشهر نوفمبر (Invoice 4711) – يرجى التأكيد"), From: mailboxOf("ليلى حداد", "l.haddad@example.ae")},
		Parts:    []index.Part{{Number: "1", Type: "text/plain", Charset: "windows-1256", Size: 512}, {Number: "2", Type: "image/png", Name: text("شعار.png"), Size: 8012}},
		Verdicts: softfail()}, "Subject: x\r\n\r\nالسلام عليكم، مرفق الفاتورة.\r\n")
	var many []string
	var to []index.Address
	for i := range 318 {
		many = append(many, fmt.Sprintf("member%03d@example.net", i))
		to = append(to, index.Address{Address: many[i]})
	}
	s.add(&index.Message{MailFrom: "newsletter@example.org", RcptTo: many,
		Header: index.Header{Subject: text("Neighbourhood newsletter: the winter market, a new timetable for the tram, and what became of the old lock on the canal, with pictures that readers sent us over the summer"),
			From: mailboxOf("Newsletter of the Upper Lock Neighbourhood Association", "newsletter@example.org"), To: to},
		Parts:    []index.Part{{Number: "1.1", Type: "text/plain", Size: 4120}, {Number: "1.2", Type: "text/html", Size: 30121}, {Number: "2", Type: "image/jpeg", Name: text("winter-market.jpg"), Size: 381233}, {Number: "3", Type: "image/jpeg", Name: text("lock.jpg"), Size: 201233}, {Number: "4", Type: "application/pdf", Name: text("timetable.pdf"), Size: 91000}},
		Verdicts: verdicts("pass")}, "Subject: Newsletter\r\n\r\nDear neighbours,\r\n")
	s.add(&index.Message{MailFrom: "carla.espinosa@example.net", RcptTo: []string{"anna.mueller@example.com"},
		Client:   index.Client{Address: netip.MustParseAddr("2001:db8::17"), Port: 51000, Helo: "[192.168.1.20]", Protocol: "ESMTPSA", TLSVersion: "TLSv1.3", TLSCipher: "TLS_AES_256_GCM_SHA384", Role: "submission", Identity: "carla.espinosa"},
		Header:   index.Header{Subject: text("Re: Offer for the pump station"), From: mailboxOf("Carla Espinosa", "carla.espinosa@example.net")},
		Verdicts: &pipeline.Verdicts{Skipped: pipeline.SkippedAuthenticated}}, "Subject: Re\r\n\r\nThank you.\r\n")
	s.add(&index.Message{MailFrom: "scanner@example.com", RcptTo: []string{"bob.jones@example.net"},
		Header: index.Header{From: mailboxOf("", "scanner@example.com")}, Defects: []index.Defect{{Kind: index.DefectHeader}},
		Verdicts: verdicts("pass")}, "X: y\r\n\r\n")
	s.add(&index.Message{MailFrom: "anna.mueller@example.com", RcptTo: []string{"bob.jones@example.net", "projects@example.net", "archive@example.net"},
		Header: index.Header{MessageID: "20261128091402.4F2A1@example.com", References: []string{"20261127165500.11C0D@example.net"}, Date: now.Add(-17 * 60e9),
			Subject: text("Offer for the pump station, second revision"), From: mailboxOf("Anna Müller", "anna.mueller@example.com"),
			To: []index.Address{{Name: text("Bob Jones"), Address: "bob.jones@example.net"}}, Cc: []index.Address{{Name: text("Projects"), Address: "projects@example.net"}, {Address: "archive@example.net"}}},
		Parts: []index.Part{{Number: "1.1", Type: "text/plain", Charset: "utf-8", Size: 1180}, {Number: "1.2", Type: "text/html", Charset: "utf-8", Size: 4213},
			{Number: "2", Type: "application/pdf", Disposition: "attachment", Name: text("Angebot Pumpwerk Rev. 2.pdf"), Size: 1482033}, {Number: "3", Type: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", Disposition: "attachment", Name: text("Kalkulation.xlsx"), Size: 48211}},
		Verdicts: verdicts("pass")},
		"Received: from mail.example.com (mail.example.com [192.0.2.25])\r\n\tby mx1.example.net with ESMTPS id 019acd;\r\n\tSat, 28 Nov 2026 09:14:05 +0000\r\nFrom: =?utf-8?q?Anna_M=C3=BCller?= <anna.mueller@example.com>\r\nTo: Bob Jones <bob.jones@example.net>\r\nSubject: Offer for the pump station, second revision\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"+
			"--b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"+
			strings.ReplaceAll("Dear Bob,\n\nplease find attached the second revision of our offer for the pump station.\nCompared with the first one\n\n  - the second pump is now of the same type as the first,\n  - the control cabinet stands on the upper level, and\n  - delivery takes nine weeks instead of twelve.\n\nThe offer holds until 31 January. I am glad to answer questions by telephone.\n\nKind regards\nAnna Müller\n", "\n", "\r\n")+
			"--c\r\nContent-Type: text/html\r\n\r\n<p>Dear Bob,</p>\r\n--c--\r\n--b\r\nContent-Type: application/pdf\r\n\r\n"+pdf+"\r\n--b\r\nContent-Type: application/zip\r\n\r\nPK\r\n--b--\r\n")
	return s
}

func softfail() *pipeline.Verdicts {
	v := verdicts("pass")
	v.SPF.Result, v.DKIM = "softfail", nil
	return v
}
