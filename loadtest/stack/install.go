// Package stack starts the real parts of a fleet natively, for tests, drills and
// people without Docker: MinIO, Apache Kafka, PostgreSQL and Prometheus, in the
// versions and with the settings of docker-compose.yml, OpenLDAP's slapd, and unbound.
// `make tools` installs them.
package stack

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Versions of what is started. The script .ci/tools installs the same, and
// docker-compose.yml names the same images: a test compares.
const (
	MinIOVersion = "v0.0.0-20260212201848-7aac2a2c5b7c"
	KafkaVersion = "4.3.1"
)

// cacheDir outlives a checkout: MinIO takes minutes to build.
func cacheDir() (string, error) {
	dir := os.Getenv("XDG_CACHE_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(home, ".cache")
	}
	return filepath.Join(dir, "sluice"), nil
}

// Installed returns the path of something that .ci/tools puts into the cache.
func Installed(path string) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	path = filepath.Join(cache, path)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is not installed, run make tools: %w", filepath.Base(path), err)
	}
	return path, nil
}

func minioBinary() (string, error) { return Installed(filepath.Join("bin", "minio")) }

// kafkaInstall returns the Java runtime and Kafka's class path.
func kafkaInstall() (java, classPath string, err error) {
	if java, err = exec.LookPath("java"); err != nil {
		return "", "", fmt.Errorf("a Java runtime is not installed, run make tools: %w", err)
	}
	cache, err := cacheDir()
	if err != nil {
		return "", "", err
	}
	dir := filepath.Join(cache, "kafka-"+KafkaVersion)
	if _, err := os.Stat(filepath.Join(dir, "kafka_2.13-"+KafkaVersion+".jar")); err != nil {
		return "", "", fmt.Errorf("Kafka is not installed, run make tools: %w", err)
	}
	return java, filepath.Join(dir, "*"), nil
}

// installed finds a program of a Debian package, also where an ordinary user's
// PATH does not look.
func installed(program string, places ...string) (string, error) {
	for _, place := range places {
		matches, _ := filepath.Glob(filepath.Join(place, program)) // a wrong pattern finds nothing
		if len(matches) > 0 {
			return matches[len(matches)-1], nil
		}
	}
	path, err := exec.LookPath(program)
	if err != nil {
		return "", fmt.Errorf("%s is not installed, run make tools: %w", program, err)
	}
	return path, nil
}
