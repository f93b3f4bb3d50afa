package stack

import (
	"os"

	"sluice/loadtest/process"
)

// StartMinIO starts an empty object store in a folder, on a free port, for a
// program that is no test. It ends with the program, or when it is killed.
func StartMinIO(dir string) (*MinIOServer, error) {
	address, err := process.FreeAddress()
	if err != nil {
		return nil, err
	}
	m, err := newMinIO(dir, address, MinIOSettings{})
	if err != nil {
		return nil, err
	}
	return m, m.start()
}

// StartKafka starts an empty broker as StartMinIO starts an object store.
func StartKafka(dir string) (*KafkaServer, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	address, err := process.FreeAddress()
	if err != nil {
		return nil, err
	}
	controller, err := process.FreeAddress()
	if err != nil {
		return nil, err
	}
	k, err := newKafka(dir, address, controller, KafkaSettings{})
	if err != nil {
		return nil, err
	}
	return k, k.start()
}

// StartUnbound starts a resolver as StartMinIO starts an object store. What config does not
// have, nobody answers.
func StartUnbound(dir, config string) (*UnboundServer, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	address, err := process.FreeAddress()
	if err != nil {
		return nil, err
	}
	u, err := newUnbound(dir, address, config, "127.0.0.1:9")
	if err != nil {
		return nil, err
	}
	return u, u.start()
}

// StartPostgres starts an empty database server as StartMinIO starts an object store. When
// we are root the folder gets another owner, who must be able to enter it.
func StartPostgres(dir string) (*PostgresServer, error) {
	address, err := process.FreeAddress()
	if err != nil {
		return nil, err
	}
	p, err := newPostgres(dir, address)
	if err != nil {
		return nil, err
	}
	return p, p.start()
}
