package corpus

import (
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
)

// tongue is a language with its words, names of people, and charsets.
type tongue struct {
	words    []string
	people   []string
	charsets []charset
}

// charset is an encoding by the name that mails give it.
type charset struct {
	name     string
	encoding encoding.Encoding
}

var utf8 = charset{"utf-8", unicode.UTF8}

var tongues = []tongue{
	{
		words: strings.Fields("invoice contract meeting budget schedule delivery payment customer support agenda " +
			"notes draft final review quarter travel ticket order receipt report"),
		people:   []string{"Alice Baker", "Bob Carter", "Carol Dean", "Dave Evans"},
		charsets: []charset{{"us-ascii", charmap.Windows1252}, utf8, {"iso-8859-1", charmap.ISO8859_1}},
	},
	{
		words: strings.Fields("Rechnung Übergabe Größe Straße Müller Anhang prüfen Verträge bestätigt Öffnung " +
			"günstig Zahlung Lieferung Käufer"),
		people:   []string{"Jürgen Groß", "Anna Müller", "Björn Schäfer"},
		charsets: []charset{{"iso-8859-1", charmap.ISO8859_1}, {"windows-1252", charmap.Windows1252}, {"iso-8859-15", charmap.ISO8859_15}, utf8},
	},
	{
		words: strings.Fields("žluťoučký účet faktura dodávka příloha řízení schůzka zpráva číslo děkujeme"),
		people: []string{
			"Jiří Dvořák", "Božena Němcová",
		},
		charsets: []charset{{"iso-8859-2", charmap.ISO8859_2}, {"windows-1250", charmap.Windows1250}, utf8},
	},
	{
		words:    strings.Fields("請求書 会議 契約 見積 出荷 添付 報告書 資料 確認 予定 株式会社 納品書 ありがとう サーバー"),
		people:   []string{"山田 太郎", "佐藤 花子", "鈴木 一郎"},
		charsets: []charset{{"iso-2022-jp", japanese.ISO2022JP}, {"shift_jis", japanese.ShiftJIS}, {"euc-jp", japanese.EUCJP}, utf8},
	},
	{
		words:    strings.Fields("счёт договор встреча оплата поставка приложение отчёт бюджет срочно подпись накладная"),
		people:   []string{"Иван Петров", "Мария Сидорова", "Пётр Ильич"},
		charsets: []charset{{"koi8-r", charmap.KOI8R}, {"windows-1251", charmap.Windows1251}, {"iso-8859-5", charmap.ISO8859_5}, utf8},
	},
	{
		words:    strings.Fields("فاتورة عقد اجتماع دفع تسليم مرفق تقرير ميزانية عاجل توقيع"),
		people:   []string{"محمد علي", "فاطمة حسن"},
		charsets: []charset{{"windows-1256", charmap.Windows1256}, {"iso-8859-6", charmap.ISO8859_6}, utf8},
	},
	{
		words:    strings.Fields("发票 合同 会议 付款 交货 附件 报告 预算 紧急 签名 客户"),
		people:   []string{"王 小明", "李 华"},
		charsets: []charset{{"gb2312", simplifiedchinese.GBK}, {"gbk", simplifiedchinese.GBK}, {"gb18030", simplifiedchinese.GB18030}, utf8},
	},
	{
		words:    strings.Fields("發票 合約 會議 付款 交貨 附件 報告 預算"),
		people:   []string{"陳 大文", "林 美麗"},
		charsets: []charset{{"big5", traditionalchinese.Big5}, utf8},
	},
	{
		words:    strings.Fields("송장 계약 회의 지불 배송 첨부 보고서 예산 긴급 서명"),
		people:   []string{"김 철수", "이 영희"},
		charsets: []charset{{"euc-kr", korean.EUCKR}, {"ks_c_5601-1987", korean.EUCKR}, utf8},
	},
	{
		words:    strings.Fields("τιμολόγιο σύμβαση συνάντηση πληρωμή παράδοση"),
		people:   []string{"Νίκος Παππάς"},
		charsets: []charset{{"iso-8859-7", charmap.ISO8859_7}, {"windows-1253", charmap.Windows1253}, utf8},
	},
	{
		words:    strings.Fields("ใบแจ้งหนี้ สัญญา ประชุม รายงาน"),
		people:   []string{"สมชาย ใจดี"},
		charsets: []charset{{"tis-620", charmap.Windows874}, utf8},
	},
}

// encode returns text in a charset that has all of it.
func (c *charset) encode(text string) string {
	encoded, err := c.encoding.NewEncoder().String(text)
	if err != nil {
		panic("corpus: " + c.name + " lacks a character of " + text)
	}
	return encoded
}

// charset returns one of the language's charsets.
func (w *writer) charset() *charset { return &w.tongue.charsets[w.random.IntN(len(w.tongue.charsets))] }

// words returns so many words of the language, with spaces between them.
func (w *writer) words(n int) string {
	words := make([]string, n)
	for i := range words {
		words[i] = one(w, w.tongue.words)
	}
	return strings.Join(words, " ")
}
