package postgres

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/index"
	"sluice/loadtest/stack"
	"sluice/pipeline"
)

// mails makes rows like those of mail: of a vocabulary in which few words are frequent.
type mails struct {
	*rand.Rand
	words *rand.Zipf
}

func newMails() *mails {
	r := rand.New(rand.NewPCG(25, 3))
	return &mails{r, rand.NewZipf(r, 1.08, 4, 200_000)}
}

// message returns a row of a time with about this number of words of its text.
func (g *mails) message(at time.Time, words int) *index.Message {
	text := func(n int) string {
		var b strings.Builder
		for range n {
			fmt.Fprintf(&b, "word%x ", g.words.Uint64()*7919)
		}
		return b.String()
	}
	id := pipeline.NewID(at, g)
	user := func() string { return fmt.Sprintf("user%d@example%d.org", g.IntN(50_000), g.IntN(500)) }
	mailbox := func() []index.Address {
		return []index.Address{{Name: index.Text{Text: "First Last" + strconv.Itoa(g.IntN(1000))}, Address: user()}}
	}
	hash := func() string {
		return fmt.Sprintf("%016x%016x%016x%016x", g.Uint64(), g.Uint64(), g.Uint64(), g.Uint64())
	}
	m := &index.Message{
		ID: id, ReceivedAt: at, Gateway: "mx1.example.net",
		Client: index.Client{
			Address: netip.AddrFrom4([4]byte{10, byte(g.IntN(256)), byte(g.IntN(256)), 1}), Port: 40000, Name: "mail.example.org",
			Helo: "mail.example.org", Protocol: "ESMTPS", TLSVersion: "TLS 1.3", TLSCipher: "TLS_AES_128_GCM_SHA256", Role: "mx",
		},
		MailFrom: user(), RcptTo: []string{user()}, Size: 10240, SHA256: hash(),
		Blob: index.Blob{Store: "s3", Bucket: "mail", Key: "2026/05/04/12/" + id.String() + ".tar", Offset: 1 << 20, Length: 10500, Added: 260},
		Header: index.Header{
			MessageID: hash()[:32] + "@example.org", References: []string{hash()[:32] + "@example.org"}, From: mailbox(), To: mailbox(),
			Subject: index.Text{Text: text(6)}, Date: at.Truncate(time.Second),
		},
		Parts: []index.Part{
			{Number: "1", Type: "text/plain", Charset: "utf-8", Size: 4096, SHA256: hash()},
			{Number: "2", Type: "application/pdf", Disposition: "attachment", Name: index.Text{Text: "invoice " + strconv.Itoa(g.IntN(10_000)) + ".pdf"}, Size: 5000, SHA256: hash()},
		},
	}
	extra := ""
	if g.IntN(10_000) == 0 {
		extra = "rare"
	}
	index.SetTerms(m, text(words)+extra)
	return m
}

// ownServer starts a server of its own with the memory and the log that one needs.
func ownServer(b *testing.B) *stack.PostgresServer {
	server := stack.Postgres(b)
	execute(b, server.URL, "alter system set shared_buffers = '512MB'")
	if err := server.Restart(); err != nil {
		b.Fatal(err)
	}
	return server
}

// cpuOf returns the CPU time of a server's processes, whose parent it is.
func cpuOf(server *stack.PostgresServer) (used time.Duration) {
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, f := range files {
		text, _ := os.ReadFile(f)
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if len(fields) < 15 || fields[1] != strconv.Itoa(server.PID()) && !strings.HasPrefix(f, fmt.Sprintf("/proc/%d/", server.PID())) {
			continue
		}
		for i := 11; i <= 12; i++ { // utime, stime
			n, _ := strconv.Atoi(fields[i])
			used += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return used
}

func ownCPU() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkInsert inserts 10,000 rows in batches of 500.
func BenchmarkInsert(b *testing.B) {
	for _, words := range []int{0, 100, 400} {
		b.Run(fmt.Sprint(words), func(b *testing.B) {
			server := ownServer(b)
			s := mustOpen(b, options(server.URL))
			for b.Loop() {
				b.StopTimer()
				g, terms := newMails(), 0
				now := time.Now().Truncate(24 * time.Hour).Add(time.Duration(b.N) * time.Hour).UTC().Truncate(time.Millisecond)
				var rows []*index.Message
				for i := range 10_000 {
					m := g.message(now.Add(time.Duration(i)*time.Millisecond), words)
					terms += len(m.Terms)
					rows = append(rows, m)
				}
				var worst time.Duration
				began, own, theirs := time.Now(), ownCPU(), cpuOf(server)
				b.StartTimer()
				for batch := range slices.Chunk(rows, 500) {
					began := time.Now()
					if n, err := s.Insert(context.Background(), batch); n != len(batch) || err != nil {
						b.Fatal(n, err)
					}
					worst = max(worst, time.Since(began))
				}
				b.StopTimer()
				b.ReportMetric(float64(len(rows))/time.Since(began).Seconds(), "rows/s")
				b.ReportMetric((ownCPU() - own).Seconds(), "client-CPU-s")
				b.ReportMetric((cpuOf(server) - theirs).Seconds(), "server-CPU-s")
				b.ReportMetric(float64(worst.Milliseconds()), "worst-batch-ms")
				b.ReportMetric(float64(terms)/float64(len(rows)), "terms/row")
				for _, name := range []string{"messages", "message_terms"} {
					var size int64
					err := s.pool.QueryRow(context.Background(), "select sum(pg_total_relation_size(relid)) from pg_partition_tree($1::regclass)", name).Scan(&size)
					if err != nil {
						b.Fatal(err)
					}
					b.ReportMetric(float64(size)/float64(len(rows)), name+"-B/row")
				}
				b.StartTimer()
			}
		})
	}
}

// BenchmarkFind finds among 300,000 rows of ten days.
func BenchmarkFind(b *testing.B) {
	const days, perDay = 10, 30_000
	server := ownServer(b)
	fast(b, server)
	s := mustOpen(b, options(server.URL))
	g, first := newMails(), time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 1-days)
	var some *index.Message
	for d := range days {
		for i := 0; i < perDay; i += 1000 {
			var rows []*index.Message
			for j := range 1000 {
				rows = append(rows, g.message(first.AddDate(0, 0, d).Add(time.Duration(i+j)*time.Second), 100))
			}
			if _, err := s.Insert(context.Background(), rows); err != nil {
				b.Fatal(err)
			}
			some = rows[g.IntN(len(rows))]
		}
	}
	for _, test := range []struct {
		name string
		q    index.Query
	}{
		{"all", index.Query{}},
		{"common", index.Query{Terms: []string{"f:first"}}},
		{"frequent", index.Query{Terms: []string{"x:word7bbc"}}},
		{"rare", index.Query{Terms: []string{"x:rare"}}},
		{"none", index.Query{Terms: []string{"x:nowhere"}}},
		{"message-id", index.Query{Terms: []string{"m:" + some.Header.MessageID}}},
		{"common-and-rare", index.Query{Terms: []string{"f:first", "x:rare"}}},
		{"client", index.Query{Client: netip.MustParsePrefix("10.1.2.0/24")}},
		{"client-and-common", index.Query{Client: netip.MustParsePrefix("10.0.0.0/9"), Terms: []string{"f:first"}}},
		{"all-clients", index.Query{Client: netip.MustParsePrefix("0.0.0.0/0")}},
		{"old-common", index.Query{Terms: []string{"f:first"}, Until: first.Add(12 * time.Hour)}},
	} {
		test.q.Limit = 50
		b.Run(test.name, func(b *testing.B) {
			found := 0
			for b.Loop() {
				page, err := s.Find(context.Background(), &test.q)
				if err != nil {
					b.Fatal(err)
				}
				found = len(page.Messages)
			}
			b.ReportMetric(float64(found), "found")
			b.StopTimer()
			explain(b, s, &test.q)
		})
	}
	b.Run("id", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Get(context.Background(), some.ID); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// explain shows the plan of a search of all days at once, with -v.
func explain(b *testing.B, s *Store, q *index.Query) {
	if !testing.Verbose() {
		return
	}
	var part span
	part.from, part.to = q.IDRange()
	wanted, arguments := conditions(q)
	arguments = append([]any{uuid(part.from), uuid(part.to)}, arguments...)
	query := "explain (analyze, costs off) select id from message_terms where " + within + wanted + " order by id desc limit 51"
	err := s.transact(context.Background(), reading, func(tx pgx.Tx) error {
		rows, err := tx.Query(context.Background(), query, arguments...)
		if err != nil {
			return err
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		b.Log("\n" + strings.Join(lines, "\n"))
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
}
