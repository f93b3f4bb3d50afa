package config

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/pipeline/kafka"
)

// KafkaConfig is the cluster of the event log of kind kafka.
type KafkaConfig struct {
	Brokers     []string // host:port; bootstrap servers
	TLS         bool
	CAFile      string // "" for the system's certificate authorities
	ServerName  string // in the brokers' certificates; "" for their host names
	SASL        SASLConfig
	CreateTopic CreateTopicConfig
	Compression string
	Linger      time.Duration
}

// SASLConfig is the identity of the gateway towards the brokers.
type SASLConfig struct {
	Mechanism string // none, or one of kafka.Mechanisms
	Username  string
	Password  Secret
}

// CreateTopicConfig is how to create the topic if it does not exist.
type CreateTopicConfig struct {
	Partitions  int // 0: the topic is not created, and the start fails
	Replication int
}

const SaslNone = "none"

// KindKafka names the event log on a cluster.
const KindKafka = "kafka"

var kafkaKind = kind{
	name:     KindKafka,
	keys:     kafkaKeys,
	checks:   []check{{forAll, single(checkSASL)}, {forAll, single(checkKafkaTLS)}},
	warnings: kafkaWarnings,
	describe: func(c *Config, _ string) string {
		return "topic " + c.Events.Topic + " at " + strings.Join(c.Events.Kafka.Brokers, ", ")
	},
}

func defaultKafka() KafkaConfig {
	return KafkaConfig{
		Brokers: []string{"127.0.0.1:9092"},
		SASL:    SASLConfig{Mechanism: SaslNone},
		// The numbers of partitions and replicas are the operator's decision. A topic
		// created because of a misspelt name would collect mail that no consumer reads.
		CreateTopic: CreateTopicConfig{Partitions: 0, Replication: 3},
		// The fastest and the cheapest (docs/measurements.md, Kafka).
		Compression: "lz4",
		// The events of a pack arrive together anyway, and a lone message would wait in
		// vain for others (docs/measurements.md, Kafka).
		Linger: 0,
	}
}

// kafkaKeys are the keys of the section events.kafka.
var kafkaKeys = []key{
	{"events.kafka.brokers", func(c *Config) value { return brokers{&c.Events.Kafka.Brokers} },
		"a list of different brokers, each a host and a port", `["kafka1.example.net:9092"]`},
	{"events.kafka.tls", func(c *Config) value { return boolean{&c.Events.Kafka.TLS} },
		trueOrFalse, "true"},
	{"events.kafka.ca_file", func(c *Config) value { return text{&c.Events.Kafka.CAFile, isPrintable} },
		`the path of a file of certificates (PEM), or ""`, `"/etc/sluice/ca.pem"`},
	{"events.kafka.server_name", func(c *Config) value { return text{&c.Events.Kafka.ServerName, isServerName} },
		`the name in the brokers' certificates, or "" for the host that each is reached by`, `"kafka.example.net"`},
	{"events.kafka.sasl.mechanism", func(c *Config) value {
		return choice{&c.Events.Kafka.SASL.Mechanism, append([]string{SaslNone}, kafka.Mechanisms()...), nil}
	},
		"none, PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", "SCRAM-SHA-512"},
	{"events.kafka.sasl.username", func(c *Config) value { return text{&c.Events.Kafka.SASL.Username, isPrintable} },
		"the name of a user", `"sluice"`},
	{"events.kafka.sasl.password", func(c *Config) value { return secretValue{&c.Events.Kafka.SASL.Password} },
		"a secret, better by events.kafka.sasl.password" + fileSuffix, `"…"`},
	{"events.kafka.create_topic.partitions", func(c *Config) value {
		return integer{&c.Events.Kafka.CreateTopic.Partitions, 0, 10000}
	},
		"a whole number from 1 to 10000, or 0 to leave it to an operator", "6"},
	{"events.kafka.create_topic.replication", func(c *Config) value {
		return integer{&c.Events.Kafka.CreateTopic.Replication, 1, 100}
	},
		"a whole number from 1 to 100, at most the number of brokers", "3"},
	{"events.kafka.compression", func(c *Config) value {
		return choice{&c.Events.Kafka.Compression, kafka.Compressions(), nil}
	},
		aCompression, "lz4"},
	{"events.kafka.linger", func(c *Config) value { return duration{&c.Events.Kafka.Linger, 0, time.Second} },
		"a time from 0s to 1s", "0s"},
}

// brokers is a list of host:port.
type brokers struct{ at *[]string }

func (v brokers) read(w rawValue) *valueError {
	names, f := stringItems(w)
	if f == nil {
		*v.at = names
	}
	return f
}

func (v brokers) check() *valueError {
	if len(*v.at) == 0 {
		return outOfRange("none")
	}
	for i, name := range *v.at {
		f := &valueError{got: strconv.Quote(name), at: itemAt(i)}
		if _, _, err := net.SplitHostPort(name); err != nil || !isEndpoint(name) {
			return f
		}
		if slices.Index(*v.at, name) < i {
			f.why = "duplicate"
			return f
		}
	}
	return nil
}

func (v brokers) String() string {
	var all []string
	for _, name := range *v.at {
		all = append(all, strconv.Quote(name))
	}
	return flowList(all)
}

func isServerName(name string) bool { return name == "" || isDomain(strings.ToLower(name)) }

// checkSASL requires the credentials that every mechanism needs.
func checkSASL(c *Config) *Problem {
	s := &c.Events.Kafka.SASL
	because := "because events.kafka.sasl.mechanism is " + s.Mechanism
	switch {
	case !slices.Contains(kafka.Mechanisms(), s.Mechanism):
		return nil
	case s.Username == "":
		return c.conflict("events.kafka.sasl.username", "the name of a user, "+because,
			"set it and events.kafka.sasl.password"+fileSuffix+", or "+c.Setting("events.kafka.sasl.mechanism", SaslNone))
	case s.Password.Reveal() == "":
		return c.conflict("events.kafka.sasl.password", "a secret, "+because,
			"set e.g. "+c.Setting("events.kafka.sasl.password"+fileSuffix, "/run/secrets/kafka_password"))
	}
	return nil
}

// checkKafkaTLS requires TLS if a certificate authority or server name is set: without
// TLS neither would be used.
func checkKafkaTLS(c *Config) *Problem {
	k := &c.Events.Kafka
	if k.TLS || k.CAFile == "" && k.ServerName == "" {
		return nil
	}
	return c.conflict("events.kafka.tls", "true, because events.kafka.ca_file or server_name is set",
		"set "+c.Setting("events.kafka.tls", "true"))
}

// isLocal reports whether every broker is on this machine.
func (k *KafkaConfig) isLocal() bool {
	return !slices.ContainsFunc(k.Brokers, func(b string) bool { return !isLoopbackEndpoint(b) })
}

// kafkaWarnings returns the risky settings of a cluster.
func kafkaWarnings(c *Config) []string {
	k := &c.Events.Kafka
	var all []string
	if !k.TLS && !k.isLocal() {
		what := "envelopes go"
		if k.SASL.Mechanism == "PLAIN" {
			what = "envelopes and the password go"
		}
		all = append(all, "events.kafka.tls is false: "+what+" to "+strings.Join(k.Brokers, ", ")+" without TLS")
	}
	if k.CreateTopic.Partitions > 0 && k.CreateTopic.Replication == 1 {
		all = append(all, "events.kafka.create_topic.replication is 1: a topic that is created so is lost with one broker's disk")
	}
	return all
}
