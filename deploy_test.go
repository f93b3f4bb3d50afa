package sluice_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"

	"sluice/loadtest/stack"
)

// compose loads docker-compose.yml as an engine would.
func compose(t *testing.T) *types.Project {
	t.Helper()
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	project, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  folder,
		ConfigFiles: []types.ConfigFile{{Filename: "docker-compose.yml"}},
		Environment: types.Mapping{},
	}, func(o *loader.Options) { o.SetProjectName("sluice", true) })
	if err != nil {
		t.Fatal(err)
	}
	return project
}

// environment gives a service's variables; all have values.
func environment(t *testing.T, project *types.Project, service string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, value := range project.Services[service].Environment {
		if value == nil {
			t.Errorf("%s: %s has no value", service, name)
			continue
		}
		all[name] = *value
	}
	return all
}

func TestComposeHasTheParts(t *testing.T) {
	project := compose(t)
	want := []string{"grafana", "indexer", "kafka", "minio", "postgres", "prometheus", "sluice"}
	if got := project.ServiceNames(); !slices.Equal(got, want) {
		t.Errorf("services %v, want %v", got, want)
	}
	pinned := regexp.MustCompile(`^[a-z0-9./-]+:v?[0-9]+\.[0-9]+[0-9A-Za-z.-]*$`)
	for name, service := range project.Services {
		if service.HealthCheck == nil || service.HealthCheck.Disable || len(service.HealthCheck.Test) < 2 {
			t.Errorf("%s has no health check", name)
		}
		ours := name == "sluice" || name == "indexer"
		if !ours && !pinned.MatchString(service.Image) {
			t.Errorf("%s: image %q is not pinned to a version", name, service.Image)
		}
		volumes := 0
		for _, v := range service.Volumes {
			if v.Type == types.VolumeTypeVolume {
				volumes++
				if _, named := project.Volumes[v.Source]; !named {
					t.Errorf("%s: volume %q has no name", name, v.Source)
				}
			} else if _, err := os.Stat(v.Source); err != nil {
				t.Errorf("%s mounts what is not there: %v", name, err)
			}
		}
		if volumes == 0 && name != "indexer" { // which has nothing of its own
			t.Errorf("%s forgets everything when it is made anew", name)
		}
		for _, port := range service.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s publishes %s to other machines", name, port.Published)
			}
		}
	}
}

// Images that are built here are pinned to what they are built from.
func TestDockerfilesArePinned(t *testing.T) {
	pinned := regexp.MustCompile(`^FROM (scratch|[a-z/-]+:[0-9]+\.[0-9][0-9A-Za-z.-]*)( AS [a-z]+)?$`)
	goVersion := regexp.MustCompile(`(?m)^go (\d+\.\d+)`)
	module, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Dockerfile", "deploy/minio/Dockerfile"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(text), "\n")
		for _, line := range lines {
			if strings.HasPrefix(line, "FROM ") && !pinned.MatchString(line) {
				t.Errorf("%s: %q is not pinned", name, line)
			}
		}
		if want := "FROM golang:" + goVersion.FindStringSubmatch(string(module))[1] + "."; !strings.Contains(string(text), want) {
			t.Errorf("%s is not built with the Go of go.mod, %s", name, want)
		}
		if !slices.Contains(lines, "USER 65532:65532") {
			t.Errorf("%s runs as root", name)
		}
	}
}

// What docker compose starts is what the tests start.
func TestComposeIsTheStackOfTheTests(t *testing.T) {
	project := compose(t)
	minio, kafka := project.Services["minio"], project.Services["kafka"]
	if got := *minio.Build.Args["MINIO_VERSION"]; got != stack.MinIOVersion || !strings.HasSuffix(minio.Image, ":"+got) {
		t.Errorf("MinIO %s in %s, the tests run %s", got, minio.Image, stack.MinIOVersion)
	}
	if want := "apache/kafka:" + stack.KafkaVersion; kafka.Image != want {
		t.Errorf("Kafka image %s, the tests run %s", kafka.Image, want)
	}
	tools, err := os.ReadFile(".ci/tools")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"minio_version=" + stack.MinIOVersion, "kafka_version=" + stack.KafkaVersion} {
		if !slices.Contains(strings.Split(string(tools), "\n"), line) {
			t.Errorf(".ci/tools does not install %s", line)
		}
	}

	settings := environment(t, project, "minio")
	for _, want := range stack.MinIOEnv() {
		if name, value, _ := strings.Cut(want, "="); settings[name] != value {
			t.Errorf("MinIO: %s=%s, the tests run %s", name, settings[name], want)
		}
	}
	settings = environment(t, project, "kafka")
	for _, want := range stack.KafkaProperties() {
		property, value, _ := strings.Cut(want, "=")
		name := "KAFKA_" + strings.ToUpper(strings.ReplaceAll(property, ".", "_"))
		if settings[name] != value {
			t.Errorf("Kafka: %s=%q, the tests run %s", name, settings[name], want)
		}
	}
	settings = environment(t, project, "sluice")
	for name, want := range map[string]string{
		"AWS_ACCESS_KEY_ID":                           stack.MinIOAccessKey,
		"AWS_SECRET_ACCESS_KEY":                       stack.MinIOSecretKey,
		"SLUICE_EVENTS_KAFKA_CREATE_TOPIC_PARTITIONS": strconv.Itoa(stack.TopicPartitions),
		"SLUICE_STORE_S3_ENDPOINT":                    "minio:9000",
		"SLUICE_EVENTS_KAFKA_BROKERS":                 "kafka:9092",
	} {
		if settings[name] != want {
			t.Errorf("sluice: %s=%s, want %s", name, settings[name], want)
		}
	}
}

// sluice runs a command of the gateway with these variables beside PATH and HOME.
func sluice(t *testing.T, environ map[string]string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", append([]string{"run", "./gateway"}, args...)...)
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "SLUICE_") {
			command.Env = append(command.Env, variable)
		}
	}
	for name, value := range environ {
		command.Env = append(command.Env, name+"="+value)
	}
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("sluice %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// The production file is right, alone and with the variables of docker-compose.yml.
func TestDeployedConfigurationIsRight(t *testing.T) {
	skipShort(t)
	const file = "deploy/sluice.yaml"
	sluice(t, nil, "config", "check", "--config", file)

	project := compose(t)
	settings := environment(t, project, "sluice")
	mounted := slices.ContainsFunc(project.Services["sluice"].Volumes, func(v types.ServiceVolumeConfig) bool {
		return v.Target == settings["SLUICE_CONFIG"] && strings.HasSuffix(filepath.ToSlash(v.Source), file)
	})
	if !mounted {
		t.Errorf("SLUICE_CONFIG is %s, where %s is not mounted", settings["SLUICE_CONFIG"], file)
	}
	settings["SLUICE_CONFIG"] = file
	sluice(t, settings, "config", "check")
	printed := sluice(t, settings, "config", "print")

	grace, deadline := printedDuration(t, printed, "grace"), printedDuration(t, printed, "deadline")
	if stop := project.Services["sluice"].StopGracePeriod; stop == nil || time.Duration(*stop) <= grace+deadline {
		t.Errorf("stop_grace_period is %v: the engine kills within a drain of %s and %s", stop, grace, deadline)
	}
	for _, want := range []string{`- address: ":2525"`, `address: ":8025"`} {
		if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s lacks %s, which docker-compose.yml publishes (%v)", file, want, err)
		}
	}
}

// What the production file has in comments for the mail of users is right, too.
func TestDeployedUsersAreRight(t *testing.T) {
	skipShort(t)
	text, err := os.ReadFile("deploy/sluice.yaml")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	sluice(t, nil, "tls", "self-signed", "--dir", folder, "--name", "mx1.example.net")
	secret := filepath.Join(folder, "ldap")
	if err := os.WriteFile(secret, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	used := string(text)
	for _, part := range []string{`  # - \{address: ":2587".*\n  # - \{address: ":2465".*\n`, `# tls:\n(#   .*\n)+`, `# auth:\n(#   .*\n)+`} {
		at := regexp.MustCompile(`(?m)^` + part).FindStringIndex(used)
		if at == nil {
			t.Fatalf("no %s in deploy/sluice.yaml", part)
		}
		used = used[:at[0]] + regexp.MustCompile(`(?m)^( *)# `).ReplaceAllString(used[at[0]:at[1]], "$1") + used[at[1]:]
	}
	used = strings.NewReplacer("/etc/sluice/tls/tls.crt", filepath.Join(folder, "cert.pem"), "/etc/sluice/tls/tls.key", filepath.Join(folder, "key.pem"),
		"  tickets_file: /etc/sluice/tickets/keys\n", "", "/run/secrets/ldap", secret).Replace(used)
	file := filepath.Join(folder, "sluice.yaml")
	if err := os.WriteFile(file, []byte(used), 0o600); err != nil {
		t.Fatal(err)
	}
	sluice(t, nil, "config", "check", "--config", file)
	printed := sluice(t, nil, "config", "print", "--config", file)
	for _, want := range []string{`role: submission, tls: implicit`, `backends: ["ldap"]`} {
		if !strings.Contains(printed, want) {
			t.Errorf("%s is not set:\n%s", want, printed)
		}
	}
}

// What the production file has in comments for an index is right, too.
func TestDeployedIndexIsRight(t *testing.T) {
	skipShort(t)
	text, err := os.ReadFile("deploy/sluice.yaml")
	if err != nil {
		t.Fatal(err)
	}
	used := string(text)
	for _, part := range []string{`# index:\n(#   .*\n)+`, `  # token_file: .*\n`} {
		at := regexp.MustCompile(`(?m)^` + part).FindStringIndex(used)
		if at == nil {
			t.Fatalf("no %s in deploy/sluice.yaml", part)
		}
		used = used[:at[0]] + regexp.MustCompile(`(?m)^( *)# `).ReplaceAllString(used[at[0]:at[1]], "$1") + used[at[1]:]
	}
	folder := t.TempDir()
	for name, secret := range map[string]string{"index_url": "postgres://u:p@db.example.net/mail", "admin_token": "0123456789abcdef"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(folder, "sluice.yaml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(used, "/run/secrets/", folder+"/")), 0o600); err != nil {
		t.Fatal(err)
	}
	sluice(t, nil, "config", "check", "--config", file)
	printed := sluice(t, nil, "config", "print", "--config", file)
	for _, want := range []string{"store: postgres", `url: "[redacted]"`, `token: "[redacted]"`} {
		if !strings.Contains(printed, want) {
			t.Errorf("%s is not set:\n%s", want, printed)
		}
	}
}

func printedDuration(t *testing.T, printed, key string) time.Duration {
	t.Helper()
	found := regexp.MustCompile(`(?m)^  ` + key + `: (\S+) #`).FindStringSubmatch(printed)
	if found == nil {
		t.Fatalf("no %s in\n%s", key, printed)
	}
	d, err := time.ParseDuration(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return d
}
