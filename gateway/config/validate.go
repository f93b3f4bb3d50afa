package config

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"sluice/gateway/driver"
	"sluice/gateway/recipients"
)

// check is a rule for the configurations of some roles.
type check struct {
	roles Role
	rule  func(*Config) []*Problem
}

// single returns a rule that reports the problem found by rule, if any.
func single(rule func(*Config) *Problem) func(*Config) []*Problem {
	return func(c *Config) []*Problem {
		if p := rule(c); p != nil {
			return []*Problem{p}
		}
		return nil
	}
}

// Validate checks every key by itself, and keys that depend on each other. Its error is
// Problems: all that were found.
func (c *Config) Validate(role Role) error { return c.check(keys, role).err() }

func (c *Config) check(table []key, role Role) Problems {
	var found Problems
	for i := range table {
		k := &table[i]
		if f := k.place(c).check(); f != nil {
			found = append(found, k.problem(f, c.origins[k.path]))
		}
	}
	for _, check := range slices.Concat(checks, c.Events.kind().checks, c.Store.kind().checks, lastChecks) {
		if check.roles&role == 0 {
			continue
		}
		for _, p := range check.rule(c) {
			if !slices.ContainsFunc(found, func(q Problem) bool { return q.Key == p.Key }) {
				found = append(found, *p)
			}
		}
	}
	return found
}

// checks are the rules on keys that depend on each other, except those of a kind.
var checks = []check{
	{ForServe, single(checkAccept)}, {ForServe, single(checkOpenDefault)}, {ForServe, single(checkConnections)},
	{ForServe, checkTLS}, {ForServe, single(checkTLSListeners)}, {ForServe, single(checkClientCA)},
	{ForServe, single(checkBackends)}, {ForServe, single(checkPlaintext)}, {ForServe, single(checkSenders)},
	{ForServe, single(checkUsers)}, {ForServe, checkLDAP}, {ForServe, checkOIDC}, {ForServe, single(checkVerify)},
	{ForServe, single(checkRecipients)}, {ForServe, single(checkBodies)}, {ForServe, single(checkStoreTimeout)}, {ForServe, single(checkAddresses)},
}

// lastChecks are the rules that run after those of the kinds.
var lastChecks = []check{
	{ForServe, single(checkPack)}, {ForServe, (*Config).checkPressure},
	{forAll, single(checkToken)}, {forAll, single(checkIndexStore)}, {ForIndex, single(checkIndexed)},
}

// conflict returns the problem of a key whose value conflicts with other keys.
func (c *Config) conflict(path, expected, hint string) *Problem {
	k, o := findKey(keys, path), c.origins[path]
	got := k.place(c).String()
	if o.got != "" {
		got = o.got
	}
	p := o.problem()
	if o.layer == byDefault && c.file != "" {
		p.Where = c.file
	}
	p.Key, p.Got, p.Expected, p.Hint = path, "got "+got, expected, hint
	if o.layer == byDefault {
		p.Got += " (the default)"
	}
	return &p
}

// checkAccept requires accept.domains or accept.any; otherwise every recipient would get
// 550.
func checkAccept(c *Config) *Problem {
	if c.Accept.Any || len(c.Accept.Domains) > 0 || !c.TakesMail() {
		return nil
	}
	return c.conflict("accept.domains", "the domains whose mail is taken: all recipients would be answered 550",
		"set e.g. "+c.Setting("accept.domains", `["example.net"]`))
}

// errForeignList is the error of a list that, as an empty one, would refuse all mail.
var errForeignList = errors.New("no address of accept.domains in it")

// accepts returns a function that reports whether mail for a domain in lower case is
// accepted.
func (c *Config) accepts() func(domain []byte) bool {
	names := make(map[string]bool) // example.net, and .example.net for *.example.net
	for _, d := range c.Accept.Domains {
		names[strings.TrimPrefix(strings.ToLower(d), "*")] = true
	}
	return func(domain []byte) bool {
		taken := c.Accept.Any || names[string(domain)]
		for i := range domain {
			taken = taken || domain[i] == '.' && names[string(domain[i:])]
		}
		return taken
	}
}

// checkRecipients reads the list of recipients.
func checkRecipients(c *Config) *Problem {
	c.recipients = nil
	if c.Accept.RecipientsFile == "" {
		return nil
	}
	list, err := recipients.Load(c.Accept.RecipientsFile)
	if err == nil && !list.Within(c.accepts()) {
		err = errForeignList
	}
	if err == nil {
		c.recipients = list
		return nil
	}
	p := c.conflict("accept.recipients_file", findKey(keys, "accept.recipients_file").expected,
		"set e.g. "+c.Setting("accept.recipients_file", "/etc/sluice/recipients")+", or leave it out to take any recipient of accept.domains")
	p.Got += " (" + err.Error() + ")"
	return p
}

// checkOpenDefault requires an explicit accept.any if a listener is not on loopback: mail
// for every domain must not be accepted from everywhere by default.
func checkOpenDefault(c *Config) *Problem {
	_, chosen := c.origins["accept.any"]
	if chosen || !c.Accept.Any || len(c.PublicListeners()) == 0 {
		return nil
	}
	if !isAddress(c.PublicListeners()[0]) {
		return nil // a problem of its own, and mending it may mend this
	}
	return c.conflict("accept.any", "a listener on loopback, or a choice of whose mail is taken on "+c.PublicListeners()[0],
		"set e.g. "+c.Setting("accept.domains", `["example.net"]`))
}

// checkConnections requires that the limit of connections leaves descriptors for
// everything else.
func checkConnections(c *Config) *Problem {
	if 0 < c.machine.Files && c.machine.Files < LeastFiles {
		return &Problem{
			Where: "this process", Key: "RLIMIT_NOFILE", Got: fmt.Sprintf("got %d", c.machine.Files),
			Expected: fmt.Sprintf("at least %d open files, of which %d are for files, uploads, brokers and /metrics, and each connection needs one more",
				LeastFiles, c.machine.headroom()),
			Hint:  "raise the hard limit: ulimit -Hn 65536, LimitNOFILE=65536 in a systemd unit, ulimits.nofile in a compose file",
			order: math.MaxInt,
		}
	}
	most := c.machine.connections()
	if c.machine.Files == 0 || c.Limits.Connections <= most {
		return nil
	}
	return c.conflict("limits.connections",
		fmt.Sprintf("at most %d: RLIMIT_NOFILE is %d, and %d of them are for files, uploads and brokers",
			most, c.machine.Files, c.machine.Files-most),
		fmt.Sprintf("raise the limit (ulimit -Hn, LimitNOFILE=) or set e.g. limits.connections: %d", most))
}

// checkBodies requires a budget that holds a message of the largest size; otherwise its
// sender would get 452 for days.
func checkBodies(c *Config) *Problem {
	bodies, message := c.BodyMemory(), int64(c.Limits.MessageSize)
	least := (driver.LeastMemory(message, c.Parts().Size) + int64(MiB) - 1) / int64(MiB) * int64(MiB)
	switch {
	case c.machine.Memory == 0:
		return nil
	case bodies > c.machine.Memory:
		return c.conflict("memory.bodies",
			fmt.Sprintf("at most the memory there is, %s", roughly(c.machine.Memory)), "set e.g. memory.bodies: 25%")
	case bodies < least && c.Parts().Size == 0:
		return c.conflict("memory.bodies",
			fmt.Sprintf("at least %s, for one message of limits.message_size (the memory is %s, and this is %s of it)",
				roughly(least), roughly(c.machine.Memory), roughly(bodies)),
			c.hintBodies(least, Size(bodies-int64(MiB))/MiB*MiB))
	case bodies < least:
		return c.conflict("memory.bodies",
			fmt.Sprintf("at least %s, for two parts of %s (the memory is %s, and this is %s of it)",
				roughly(least), c.Parts().key, roughly(c.machine.Memory), roughly(bodies)),
			"set e.g. memory.bodies: "+Size(least).String())
	}
	return nil
}

// hintBodies suggests a lower message size if the result is allowed, or a larger budget
// if the machine has that much memory.
func (c *Config) hintBodies(least int64, message Size) string {
	switch {
	case message >= MiB:
		return "set e.g. " + c.Setting("limits.message_size", message.String()) + ", or more memory"
	case least <= c.machine.Memory:
		return "set e.g. " + c.Setting("memory.bodies", Size(least).String())
	}
	return "give it more memory"
}

func roughly(octets int64) string {
	if octets < int64(MiB) {
		return Size(octets).String()
	}
	return (Size(octets) / MiB * MiB).String()
}

// checkToken requires a token that nobody can guess.
func checkToken(c *Config) *Problem {
	if n := len(c.Admin.Token.Reveal()); n == 0 || n >= leastToken {
		return nil
	}
	p := c.conflict("admin.token", findKey(keys, "admin.token").expected,
		"make one by head -c 24 /dev/urandom | base64, put it into a file and set e.g. "+c.Setting("admin.token"+fileSuffix, "/run/secrets/admin_token"))
	p.Got = "got a shorter one"
	return p
}

// leastToken is the least length of a token.
const leastToken = 16

func checkStoreTimeout(c *Config) *Problem {
	if c.Timeouts.Store <= c.Timeouts.Message {
		return nil
	}
	return c.conflict("timeouts.store",
		"at most timeouts.message, "+ShortDuration(c.Timeouts.Message)+", which holds the whole way from final dot to answer",
		"set e.g. "+c.Setting("timeouts.store", ShortDuration(min(c.Timeouts.Message, time.Minute))))
}

// checkAddresses requires that no two servers listen at one address: the bind would fail
// later, with a less helpful error.
func checkAddresses(c *Config) *Problem {
	var taken []string
	for _, l := range c.Listeners {
		taken = append(taken, l.Address)
	}
	servers := []server{{"admin.address", c.Admin.Address}}
	if listens := c.Events.kind().listens; listens != nil {
		if at, ok := listens(c); ok {
			servers = append(servers, at)
		}
	}
	for _, s := range servers {
		if slices.ContainsFunc(taken, func(other string) bool { return overlap(other, s.address) }) {
			return c.conflict(s.path, "an address that no other server has", "set another port")
		}
		taken = append(taken, s.address)
	}
	return nil
}

// Setting returns a setting of the key path as the user would write it: in the file if
// there is one, otherwise in the environment.
func (c *Config) Setting(path, value string) string {
	if c.file != "" {
		return path + ": " + value
	}
	return envName(path) + "=" + plain(value)
}

// PublicListeners returns the addresses of the listeners that other machines can reach.
func (c *Config) PublicListeners() []string {
	var public []string
	for _, l := range c.Listeners {
		if !isLoopback(l.Address) {
			public = append(public, l.Address)
		}
	}
	return public
}
