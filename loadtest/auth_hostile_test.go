package main

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/internal/testkit"
	"sluice/loadtest/client"
	"sluice/loadtest/process"
	"sluice/loadtest/stack"
)

// authMails is how many mails others send beside each load. The figures of a machine that
// does nothing else want 5,000.
var authMails = flag.Int("auth.mails", 100, "small mails beside attempts to authenticate")

// newPlainAuthGateway prepares a gateway whose listeners on loopback, for anybody and for
// users, do without TLS.
func newPlainAuthGateway(t *testing.T, auth string) *authGateway {
	t.Helper()
	g := &authGateway{&tlsGateway{Sluice: newGateway(t)}, freeAddress(t)}
	g.Accept = "{domains: [example.net]}"
	g.Listener = fmt.Sprintf("}, {address: %q, role: submission", g.submission)
	g.Config = "auth: {allow_plaintext: true, " + auth + "}\n"
	return g
}

// attempted makes one attempt from an address of this machine, and returns the reply and
// the time that it took. It ends when stop is closed.
func attempted(t *testing.T, stop <-chan struct{}, source, to, user, password string) (reply string, took time.Duration) {
	t.Helper()
	conn := from(t, source, to)
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-stop:
		case <-ended:
		}
		conn.Close()
	}()
	in := bufio.NewReader(conn)
	if _, err := io.WriteString(conn, "EHLO x\r\n"); err != nil {
		return err.Error(), 0
	}
	for line := ""; !strings.HasPrefix(line, "250 "); {
		var err error
		if line, err = in.ReadString('\n'); err != nil {
			return line + err.Error(), 0
		}
		if strings.HasPrefix(line, "4") || strings.HasPrefix(line, "5") {
			return line, 0
		}
	}
	began := time.Now()
	_, err := io.WriteString(conn, authPlain(user, password))
	if err == nil {
		reply, err = in.ReadString('\n')
	}
	if err != nil {
		reply += err.Error()
	}
	return reply, time.Since(began)
}

// tally counts replies by their first words.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
}

func (c *tally) add(reply string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[string]int{}
	}
	c.counts[reply[:min(len(reply), len("454 4.7.0"))]]++
}

func (c *tally) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprint(c.counts)
}

func (c *tally) of(reply string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[reply]
}

// smallMails sends mails from a session each at the listener for anybody, from four
// clients at a time, and returns the 99th percentile of their times.
func smallMails(t *testing.T, gateway *process.Sluice, mails int) time.Duration {
	t.Helper()
	const clients = 4
	var mu sync.Mutex
	var all []time.Duration
	var wait sync.WaitGroup
	for range clients {
		wait.Go(func() {
			for range mails / clients {
				began := time.Now()
				c, err := client.Dial(t.Context(), gateway.SMTP)
				if err == nil {
					_, err = c.Send(&client.Mail{From: "a@example.com", To: []string{"b@example.net"}, Content: []byte(header("small") + "\r\ntext\r\n")})
					c.Close()
				}
				if err != nil {
					t.Errorf("a mail at the mx listener: %v", err)
					return
				}
				mu.Lock()
				all = append(all, time.Since(began))
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	if len(all) == 0 {
		t.Fatal("no mail")
	}
	slices.Sort(all)
	return all[len(all)*99/100]
}

// blackHole listens, and says nothing to whoever comes.
func blackHole(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var held []net.Conn
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		defer mu.Unlock()
		for _, conn := range held {
			conn.Close()
		}
	})
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			held = append(held, conn)
			mu.Unlock()
		}
	}()
	return l.Addr().String()
}

// besideTheirMail has a load run until the channel is closed, and compares the p99 of small
// mails before it and beside it. It waits until the load is enough.
func besideTheirMail(t *testing.T, gateway *process.Sluice, mails int, enough func() bool, load func(stop <-chan struct{})) {
	t.Helper()
	smallMails(t, gateway, mails/4) // until all is warm
	before := smallMails(t, gateway, mails)
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		load(stop)
	}()
	beside := smallMails(t, gateway, mails)
	testkit.Eventually(t, "the load has had its answers", enough)
	close(stop)
	<-ended
	t.Logf("p99 of %d small mails: %v before, %v beside (%.2f)", mails, before, beside, float64(beside)/float64(before))
	// The goal is 1.2. A machine that does other things as well does not allow to assert it.
	if beside > 20*before+500*time.Millisecond {
		t.Errorf("p99 of small mails: %v before, %v beside", before, beside)
	}
}

// TestSilentProviders has a directory and a provider take connections and say nothing,
// while users come: each has 454 in time, and mail of others goes on.
func TestSilentProviders(t *testing.T) {
	t.Parallel()
	needs(t, "curl")
	hole := blackHole(t)
	for name, auth := range map[string]string{
		"ldap":          fmt.Sprintf("backends: [ldap], ldap: {url: \"ldap://%s\", base_dn: \"dc=example,dc=net\"}", hole),
		"oidc-password": fmt.Sprintf("backends: [oidc-password], oidc: {issuer: \"http://%s\", client_id: sluice}", hole),
	} {
		t.Run(name, func(t *testing.T) {
			gateway := newPlainAuthGateway(t, auth)
			gateway.Config += "timeouts: {auth: 2s}\n"
			startGateway(t, gateway.Sluice)
			var replies tally
			var slowest atomic.Int64
			besideTheirMail(t, gateway.Sluice, *authMails, func() bool { return replies.of("454 4.7.0") > 0 }, func(stop <-chan struct{}) {
				var users sync.WaitGroup
				for n := range 64 {
					users.Go(func() {
						for i := 0; ; i++ {
							reply, took := attempted(t, nil, fmt.Sprintf("127.0.%d.%d", 1+n, 1+i%200), gateway.submission, fmt.Sprintf("user%d@example.net", n), "secret")
							replies.add(reply)
							slowest.Store(max(slowest.Load(), int64(took)))
							select {
							case <-stop:
								return
							default:
							}
						}
					})
				}
				users.Wait()
			})
			t.Logf("replies %s, the slowest after %v", &replies, time.Duration(slowest.Load()))
			if n := replies.of("454 4.7.0"); n < 64 || fmt.Sprintf("map[454 4.7.0:%d]", n) != replies.String() {
				t.Errorf("the replies are %s", &replies)
			}
			if took := time.Duration(slowest.Load()); took > 10*time.Second {
				t.Errorf("an answer took %v", took)
			}
			expectMetric(t, gateway.Sluice, "sluice_auth_attempts_in_flight", 0)
			expectMetric(t, gateway.Sluice, "sluice_auth_attempts_total", float64(replies.of("454 4.7.0")))
		})
	}
}

// TestDirectoryRestartedUnderLoad has a real directory end and begin again while users
// come: nobody is told that the right password is wrong, and all are known again.
func TestDirectoryRestartedUnderLoad(t *testing.T) {
	t.Parallel()
	needs(t, "curl")
	var ldif strings.Builder
	ldif.WriteString("dn: ou=people,dc=example,dc=net\nobjectClass: organizationalUnit\nou: people\n\n")
	for i := range 8 {
		fmt.Fprintf(&ldif, "dn: uid=user%[1]d,ou=people,dc=example,dc=net\nobjectClass: inetOrgPerson\nuid: user%[1]d\ncn: user\nsn: user\n"+
			"mail: user%[1]d@example.net\nuserPassword: right\n\n", i)
	}
	directory := stack.Slapd(t, stack.SlapdSettings{LDIF: ldif.String()})
	gateway := newAuthGateway(t, fmt.Sprintf("backends: [ldap], ldap: {url: \"ldaps://%s\", ca_file: %q, base_dn: \"ou=people,dc=example,dc=net\", bind_dn: %q, bind_password_file: %q}",
		directory.TLSAddress, directory.CAFile, stack.SlapdAdmin, writeFile(t, "secret", stack.SlapdPassword+"\n")))
	startGateway(t, gateway.Sluice)
	trust := gateway.clientTLS(t)
	var replies tally
	stop := make(chan struct{})
	var users sync.WaitGroup
	for n := range 8 {
		users.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				c := testkit.NewSMTP(t, tls.Client(from(t, fmt.Sprintf("127.0.1.%d", 1+n), gateway.implicit), trust))
				fmt.Fprint(c.Conn, "HELO x\r\n")
				c.Expect("220 ", "250 ")
				fmt.Fprint(c.Conn, authPlain(fmt.Sprintf("user%d@example.net", n), "right"))
				reply, err := c.In.ReadString('\n')
				if err != nil {
					t.Error(err)
					return
				}
				replies.add(reply)
				c.Conn.Close()
			}
		})
	}
	for range 2 {
		before := replies.of("235 2.7.0")
		testkit.Eventually(t, "users are known", func() bool { return replies.of("235 2.7.0") > before+20 })
		if err := directory.Kill(); err != nil {
			t.Fatal(err)
		}
		away := replies.of("454 4.7.0")
		testkit.Eventually(t, "users are put off", func() bool { return replies.of("454 4.7.0") > away+5 })
		if err := directory.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	before := replies.of("235 2.7.0")
	testkit.Eventually(t, "users are known again", func() bool { return replies.of("235 2.7.0") > before+20 })
	close(stop)
	users.Wait()
	t.Logf("replies %s", &replies)
	if n := replies.of("535 5.7.8"); n > 0 {
		t.Errorf("the replies are %s", &replies)
	}
	c := testkit.NewSMTP(t, tls.Client(from(t, "127.0.1.1", gateway.implicit), trust))
	fmt.Fprint(c.Conn, "HELO x\r\n"+authPlain("user1@example.net", "wrong"))
	c.Expect("220 ", "250 ", "535 5.7.8 ")
}

// TestWrongPasswords has ten times as many attempts come as the pool can judge, each from
// another address and for another name. Those that find no room have 454, memory stays
// bounded, and mail of others goes on. Then one address fails over and over, and others
// get in all the same.
func TestWrongPasswords(t *testing.T) {
	t.Parallel()
	needs(t, "curl")
	users := userFile(t, map[string]string{annName: canary})
	gateway := newPlainAuthGateway(t, fmt.Sprintf("backends: [static], static: {file: %q}, attempts: 16", users))
	startGateway(t, gateway.Sluice)
	resident := func() float64 { return metric(t, gateway.Sluice, "process_resident_memory_bytes") }
	var replies tally
	var most float64
	var number atomic.Int64
	before := resident()
	flood := func(sources func(n int64) string) func(<-chan struct{}) {
		return func(stop <-chan struct{}) {
			var attackers sync.WaitGroup
			for range 10 * 16 {
				attackers.Go(func() {
					for {
						n := number.Add(1)
						reply, _ := attempted(t, stop, sources(n), gateway.submission, fmt.Sprintf("user%d@example.net", n), "wrong")
						select {
						case <-stop: // the reply may not have come
							return
						default:
							replies.add(reply)
						}
						select {
						case <-stop:
							return
						case <-time.After(time.Second): // it is not to be a flood of connections
						}
					}
				})
			}
			attackers.Wait()
		}
	}
	answered := func() bool { return replies.of("535 5.7.8") > 0 && replies.of("454 4.7.0") > 0 }
	besideTheirMail(t, gateway.Sluice, *authMails, answered, func(stop <-chan struct{}) {
		flooded := make(chan struct{})
		go func() {
			defer close(flooded)
			flood(func(n int64) string { return fmt.Sprintf("127.%d.%d.%d", 1+n>>16, n>>8&255, n&255) })(stop)
		}()
		for ended := false; !ended; {
			select {
			case <-flooded:
				ended = true
			case <-time.After(200 * time.Millisecond):
				most = max(most, resident())
			}
		}
	})
	t.Logf("of many addresses: %s; %.0f MiB of memory before, %.0f at most", &replies, before/(1<<20), most/(1<<20))
	if judged, busy := replies.of("535 5.7.8"), replies.of("454 4.7.0"); judged == 0 || busy == 0 ||
		fmt.Sprintf("map[454 4.7.0:%d 535 5.7.8:%d]", busy, judged) != replies.String() {
		t.Errorf("the replies are %s", &replies)
	}
	if most > before+raceMemory*128<<20 {
		t.Errorf("%.0f bytes of memory, %.0f before", most, before)
	}
	testkit.Eventually(t, "no attempt is left", func() bool { return metric(t, gateway.Sluice, "sluice_auth_attempts_in_flight") == 0 })

	replies = tally{}
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		flood(func(int64) string { return "127.0.0.7" })(stop)
	}()
	testkit.Eventually(t, "the address has failed", func() bool { return replies.of("535 5.7.8") > 0 && replies.of("454 4.7.0") > 20 })
	var slowest time.Duration
	for n := range 10 {
		reply, took := attempted(t, nil, fmt.Sprintf("127.0.0.%d", 10+n), gateway.submission, annName, canary)
		if slowest = max(slowest, took); !strings.HasPrefix(reply, "235 2.7.0 ") {
			t.Errorf("another address beside the flood: %s", reply)
		}
	}
	close(stop)
	<-ended // none of the flood outlives the test
	t.Logf("of one address: %s; another waits %v at most", &replies, slowest)
}

// TestOddExchanges tries exchanges that no client in order has.
func TestOddExchanges(t *testing.T) {
	t.Parallel()
	needs(t)
	users := userFile(t, map[string]string{annName: canary})
	gateway := newAuthGateway(t, fmt.Sprintf("allow_plaintext: true, backends: [static], static: {file: %q}, cache: 5m", users))
	gateway.Listener = strings.Replace(gateway.Listener, "tls: required", "tls: starttls", 1)
	strict := freeAddress(t)
	gateway.Listener += fmt.Sprintf("}, {address: %q, role: submission, tls: required", strict)
	startGateway(t, gateway.Sluice)
	trust := gateway.clientTLS(t)
	ann := authPlain(annName, canary)
	begin := func(address string) *testkit.SMTP {
		c := testkit.DialSMTP(t, address)
		fmt.Fprint(c.Conn, "HELO x\r\n")
		c.Expect("220 ", "250 ")
		return c
	}
	says := func(c *testkit.SMTP, text string, answers ...string) {
		t.Helper()
		fmt.Fprint(c.Conn, text)
		c.Expect(answers...)
	}
	const mail = "RCPT TO:<somebody@elsewhere.example>\r\nDATA\r\n"

	// All at once, and the client's end is closed behind it.
	c := begin(gateway.submission)
	says(c, ann+"MAIL FROM:<"+annName+"> AUTH=<>\r\n"+mail, "235 ", "250 ", "250 ", "354 ")
	fmt.Fprint(c.Conn, "Subject: x\r\n\r\ntext\r\n.\r\n"+ann)
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.Expect("250 2.0.0 ", "503 5.5.1 ")
	if rest, err := io.ReadAll(c.In); err != nil || len(rest) > 0 {
		t.Errorf("behind a client that is done: %q, %v", rest, err)
	}
	c = begin(gateway.submission)
	fmt.Fprint(c.Conn, authPlain("nobody@example.net", "wrong")+ann+"QUIT\r\n")
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.Expect("535 5.7.8 ", "235 ", "221 ")
	// A response that comes ahead of its challenge is taken, and so is what follows.
	c = begin(gateway.submission)
	says(c, "AUTH LOGIN\r\n"+b64(annName)+"\r\n"+b64(canary)+"\r\nNOOP\r\n", "334 ", "334 ", "235 ", "250 ")
	// Whoever STARTTLS is for begins anew: what was said before it is not kept.
	says(c, "STARTTLS\r\n", "220 ")
	secure := testkit.NewSMTP(t, tls.Client(c.Conn, trust))
	says(secure, "HELO x\r\nMAIL FROM:<"+annName+">\r\n"+ann+"MAIL FROM:<"+annName+">\r\n", "250 ", "530 5.7.0 ", "235 ", "250 ")
	says(secure, ann, "503 5.5.1 ")
	// Before TLS where it is required, and in the same piece as STARTTLS.
	c = testkit.DialSMTP(t, strict)
	says(c, "EHLO x\r\n", "220 ", "250-", "250-", "250-", "250-", "250-ENHANCEDSTATUSCODES", "250 STARTTLS")
	says(c, ann, "530 5.7.0 ")
	says(c, "STARTTLS\r\n"+ann, "501 5.5.4 ")
	// Lines that are too long, and what is no exchange.
	c = begin(gateway.submission)
	long := strings.Repeat("A", 12<<10)
	for text, answer := range map[string]string{
		"AUTH PLAIN " + long + "\r\n": "500 5.5.6 ", "AUTH PLAIN =\r\n": "501 5.5.2 ", "AUTH PLAIN A\r\n": "501 5.5.2 ",
		"AUTH CRAM-MD5\r\n": "504 5.5.4 ", "AUTH\r\n": "501 5.5.", "AUTH XOAUTH2\r\n": "504 5.5.4 ",
	} {
		says(c, text, answer)
	}
	says(c, "AUTH LOGIN\r\n", "334 ")
	says(c, long+"A\r\n", "500 5.5.6 ")
	says(c, "AUTH PLAIN\r\n", "334 ")
	says(c, "*\r\n", "501 ")
	says(c, ann, "235 ")
}

func b64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// TestSilentExchanges has clients begin AUTH and fall silent, and others send long
// responses octet by octet: neither costs more than what is reckoned for it.
func TestSilentExchanges(t *testing.T) {
	t.Parallel()
	needs(t, "curl")
	provider := newProvider(t)
	gateway := newPlainAuthGateway(t, "backends: [oidc-token, oidc-password], "+strings.Replace(provider.settings(), "{", "{client_id: sluice, ", 1))
	startGateway(t, gateway.Sluice)
	const clients = 1000
	resident := func() float64 { return metric(t, gateway.Sluice, "process_resident_memory_bytes") }
	open := func(clients int, text, answer string) (all []*testkit.SMTP) {
		for n := range clients {
			c := testkit.NewSMTP(t, from(t, fmt.Sprintf("127.0.%d.%d", 1+n/250, 1+n%250), gateway.submission))
			fmt.Fprint(c.Conn, "HELO x\r\n")
			c.Expect("220 ", "250 ")
			fmt.Fprint(c.Conn, text)
			c.Expect(answer)
			all = append(all, c)
		}
		return all
	}
	before := resident()
	open(clients/5, "NOOP\r\n", "250 ")
	between := resident()
	silent := open(clients, "AUTH LOGIN\r\n", "334 ")
	after := resident()
	part := strings.Repeat("x", 12000)
	for _, c := range silent {
		fmt.Fprint(c.Conn, part)
	}
	testkit.Eventually(t, "the parts are read", func() bool { return resident() > after+clients*6000 })
	t.Logf("a session takes %.1f KiB, one in AUTH %.1f KiB, one with most of a line %.1f KiB",
		(between-before)/(clients/5)/1024, (after-between)/clients/1024, (resident()-between)/clients/1024)
	if most := resident(); most > between+raceMemory*clients*48<<10 {
		t.Errorf("%.0f KiB a session", (most-between)/clients/1024)
	}
	expectMetric(t, gateway.Sluice, "sluice_auth_attempts_in_flight", 0)
	var drip sync.WaitGroup
	for n := range 4 {
		drip.Go(func() {
			c := testkit.NewSMTP(t, from(t, fmt.Sprintf("127.0.9.%d", 1+n), gateway.submission))
			fmt.Fprint(c.Conn, "HELO x\r\nAUTH XOAUTH2\r\n")
			c.Expect("220 ", "250 ", "334 ")
			token := fmt.Sprintf("user=user%d@example.net\x01auth=Bearer %s\x01\x01", n, strings.Repeat("a", 9000))
			for text := b64(token) + "\r\n"; len(text) > 0; {
				piece := min(20+n*70, len(text))
				if _, err := io.WriteString(c.Conn, text[:piece]); err != nil {
					t.Error(err)
				}
				text = text[piece:]
			}
			c.Expect("334 ")
			fmt.Fprint(c.Conn, "\r\n")
			c.Expect("535 5.7.8 ")
		})
	}
	drip.Wait()
	reply, _ := attempted(t, nil, "127.0.10.1", gateway.submission, annName, "")
	if !strings.HasPrefix(reply, "535 5.7.8 ") {
		t.Errorf("an empty password: %s", reply)
	}
}
