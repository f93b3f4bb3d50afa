package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/loadtest/process"
)

// KafkaServer is a broker that is its own controller (KRaft).
type KafkaServer struct {
	*Server
	Bootstrap string // host:port, PLAINTEXT

	// What a secured broker has besides.
	SASLBootstrap    string // SASL_PLAINTEXT: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512
	TLSBootstrap     string // SSL
	SASLTLSBootstrap string // SASL_SSL
	Username         string
	Password         string
	CAFile           string
}

// KafkaSettings of a broker; the zero value is one PLAINTEXT listener.
type KafkaSettings struct {
	// Secured adds the listeners with SASL and TLS.
	Secured bool
	// Properties are further lines of server.properties, such as
	// message.max.bytes=1000.
	Properties []string
}

// kafkaProperties are the settings that docker-compose.yml has too. A topic is
// made by whoever says how many partitions and copies it has, never by the first
// producer that misspells its name.
var kafkaProperties = []string{
	"auto.create.topics.enable=false",
	"offsets.topic.replication.factor=1",
	"transaction.state.log.replication.factor=1",
	"transaction.state.log.min.isr=1",
	"share.coordinator.state.topic.replication.factor=1",
	"share.coordinator.state.topic.min.isr=1",
	"group.initial.rebalance.delay.ms=0",
}

// KafkaProperties returns the settings of every broker of the stack.
func KafkaProperties() []string { return append([]string(nil), kafkaProperties...) }

// kafkaLogging prints what is worth reading after a failure.
const kafkaLogging = `<Configuration status="WARN"><Appenders><Console name="out"><PatternLayout pattern="%d{HH:mm:ss.SSS} %p %c{1} %m%n"/></Console></Appenders>
<Loggers><Root level="WARN"><AppenderRef ref="out"/></Root></Loggers></Configuration>
`

// The user of a secured broker.
const (
	kafkaUser     = "sluice"
	kafkaPassword = "sluice-secret"
)

// kafkaNode is one broker of a cluster. Each of its brokers is a controller too.
type kafkaNode struct {
	id                  int
	address, controller string   // host:port
	voters              []string // id@host:port of all controllers
	clusterID           string
	heap                string // -Xmx
}

func newKafka(dir, address, controller string, settings KafkaSettings) (*KafkaServer, error) {
	return newKafkaNode(dir, kafkaNode{
		id: 1, address: address, controller: controller,
		voters: []string{"1@" + controller}, clusterID: newKafkaID(), heap: "512m",
	}, settings)
}

func newKafkaNode(dir string, node kafkaNode, settings KafkaSettings) (*KafkaServer, error) {
	java, classPath, err := kafkaInstall()
	if err != nil {
		return nil, err
	}
	if strings.Contains(dir, ",") {
		// log.dirs is a list: the data would go to a folder elsewhere.
		return nil, fmt.Errorf("kafka: folder %q: a comma in its name would split it in two; choose another", dir)
	}
	k := &KafkaServer{Bootstrap: node.address}
	properties := append([]string{
		"process.roles=broker,controller", "node.id=" + strconv.Itoa(node.id),
		"controller.quorum.voters=" + strings.Join(node.voters, ","),
		"controller.listener.names=CONTROLLER",
		"listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL",
		"inter.broker.listener.name=PLAINTEXT",
		"log.dirs=" + filepath.Join(dir, "data"),
	}, kafkaProperties...)
	listeners := []string{"PLAINTEXT://" + node.address}
	if settings.Secured {
		more, lines, err := k.secure(dir)
		if err != nil {
			return nil, err
		}
		listeners, properties = append(listeners, more...), append(properties, lines...)
	}
	properties = append(properties,
		"advertised.listeners="+strings.Join(listeners, ","),
		"listeners="+strings.Join(append(listeners, "CONTROLLER://"+node.controller), ","))
	properties = append(properties, settings.Properties...)

	file, logging := filepath.Join(dir, "server.properties"), filepath.Join(dir, "log4j2.xml")
	if err := os.WriteFile(file, []byte(strings.Join(properties, "\n")+"\n"), 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(logging, []byte(kafkaLogging), 0o600); err != nil {
		return nil, err
	}
	// The first compiler and the serial collector start in half the time, and
	// leave the cores to what is tested.
	jvm := []string{java, "-Xmx" + node.heap, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
		"-Dlog4j2.configurationFile=" + logging, "-cp", classPath}
	k.Server = &Server{
		Name: "kafka", Dir: dir,
		command: append(jvm, "kafka.Kafka", file),
		probe:   k.answersMetadata,
	}
	return k, format(jvm, dir, file, node)
}

// secure returns the listeners with SASL and TLS and their settings.
func (k *KafkaServer) secure(dir string) (listeners, properties []string, err error) {
	for _, l := range []struct {
		protocol string
		address  *string
	}{{"SASL_PLAINTEXT", &k.SASLBootstrap}, {"SSL", &k.TLSBootstrap}, {"SASL_SSL", &k.SASLTLSBootstrap}} {
		if *l.address, err = process.FreeAddress(); err != nil {
			return nil, nil, err
		}
		listeners = append(listeners, l.protocol+"://"+*l.address)
	}
	k.Username, k.Password = kafkaUser, kafkaPassword

	a, err := newTestCA(dir)
	if err != nil {
		return nil, nil, err
	}
	k.CAFile = a.File
	keyStore := filepath.Join(dir, "broker.pem")
	if err := a.issueTogether(keyStore); err != nil {
		return nil, nil, err
	}
	const modules = "org.apache.kafka.common.security."
	properties = []string{
		"ssl.keystore.type=PEM", "ssl.keystore.location=" + keyStore,
		"sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
	}
	for _, protocol := range []string{"sasl_plaintext", "sasl_ssl"} {
		properties = append(properties,
			fmt.Sprintf(`listener.name.%s.plain.sasl.jaas.config=%splain.PlainLoginModule required user_%s="%s";`,
				protocol, modules, kafkaUser, kafkaPassword),
			fmt.Sprintf("listener.name.%s.scram-sha-256.sasl.jaas.config=%sscram.ScramLoginModule required;", protocol, modules),
			fmt.Sprintf("listener.name.%s.scram-sha-512.sasl.jaas.config=%sscram.ScramLoginModule required;", protocol, modules))
	}
	return listeners, properties, nil
}

// answersMetadata asks for what a producer needs first: the brokers, with this
// one among them.
func (k *KafkaServer) answersMetadata(ctx context.Context) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(k.Bootstrap))
	if err != nil {
		return err
	}
	defer client.Close()
	brokers, err := kadm.NewClient(client).ListBrokers(ctx)
	if err == nil && len(brokers) == 0 {
		err = fmt.Errorf("%s knows no broker", k.Bootstrap)
	}
	return err
}

// CreateTopic makes a topic of one copy and returns when the broker serves it;
// configs are its settings, such as min.insync.replicas. One that is there
// already is an error.
func (k *KafkaServer) CreateTopic(ctx context.Context, name string, partitions int32, configs map[string]string) error {
	return k.createTopic(ctx, kafkaTopic{name, partitions, 1, configs})
}

// kafkaTopic is a topic to be made.
type kafkaTopic struct {
	name       string
	partitions int32
	copies     int16
	configs    map[string]string
}

func (k *KafkaServer) createTopic(ctx context.Context, topic kafkaTopic) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(k.Bootstrap), kgo.MetadataMinAge(probeEvery))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	values := make(map[string]*string, len(topic.configs))
	for key, value := range topic.configs {
		values[key] = &value
	}
	if _, err = admin.CreateTopic(ctx, topic.partitions, topic.copies, values, topic.name); err != nil {
		return err
	}
	// The broker hears of it a little after the controller has answered.
	again := time.NewTicker(probeEvery)
	defer again.Stop()
	for {
		topics, err := admin.ListTopics(ctx, topic.name)
		if err != nil {
			return err
		}
		if topics[topic.name].Err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("topic %s was created and is not served: %w", topic.name, ctx.Err())
		case <-again.C:
		}
	}
}

// ensureTopic makes the topic of a standing stack, once.
func (k *KafkaServer) ensureTopic(ctx context.Context) error {
	err := k.CreateTopic(ctx, Topic, TopicPartitions, nil)
	if errors.Is(err, kerr.TopicAlreadyExists) {
		return nil
	}
	return err
}
