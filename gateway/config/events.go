package config

import "strings"

// EventsConfig says where events are published.
type EventsConfig struct {
	Kind     string // the name of one of logs
	Topic    string
	Embedded EmbeddedConfig
	Kafka    KafkaConfig
}

func defaultEvents() EventsConfig {
	return EventsConfig{
		Kind: KindEmbedded, Topic: "mail.received", Embedded: defaultEmbedded(), Kafka: defaultKafka(),
	}
}

// eventKeys are the keys of the section events that all kinds share.
var eventKeys = []key{
	{"events.kind", func(c *Config) value { return choice{&c.Events.Kind, namesOf(logs), nil} },
		anyOf(logs), KindEmbedded},
	{"events.topic", func(c *Config) value { return text{&c.Events.Topic, isTopic} },
		"a topic name: at most 249 letters, digits, dots, hyphens and underscores", "mail.received"},
}

// isTopic reports whether name follows Kafka's rule for topics.
func isTopic(name string) bool {
	if name == "" || name == "." || name == ".." || len(name) > 249 {
		return false
	}
	return strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789._-") == ""
}
