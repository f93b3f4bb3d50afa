package stack

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
)

// MinIOServer is an object store that speaks S3.
type MinIOServer struct {
	*Server
	Endpoint  string // host:port
	AccessKey string
	SecretKey string
	Region    string
	DataDir   string // holds the buckets
	CAFile    string // of the certificate of an https endpoint, else ""
}

// MinIOSettings of a server; the zero value is plain HTTP.
type MinIOSettings struct {
	// TLS makes the endpoint https, with a certificate of Authority.
	TLS bool
	// DataDir holds the buckets; "" for a folder below the server's own.
	DataDir string
	// Env are further settings, such as MINIO_API_REQUESTS_MAX=10.
	Env []string
}

// MinIO's keys and region: what docker-compose.yml sets.
const (
	MinIOAccessKey = "sluice"
	MinIOSecretKey = "sluice-secret"
	MinIORegion    = "us-east-1"
)

// MinIOEnv are the settings of every object store of the stack.
func MinIOEnv() []string {
	return []string{
		"MINIO_ROOT_USER=" + MinIOAccessKey, "MINIO_ROOT_PASSWORD=" + MinIOSecretKey,
		"MINIO_REGION=" + MinIORegion, "MINIO_BROWSER=off", "MINIO_UPDATE=off",
	}
}

func newMinIO(dir, address string, settings MinIOSettings) (*MinIOServer, error) {
	binary, err := minioBinary()
	if err != nil {
		return nil, err
	}
	m := &MinIOServer{
		Endpoint: address, AccessKey: MinIOAccessKey, SecretKey: MinIOSecretKey, Region: MinIORegion,
		DataDir: settings.DataDir,
	}
	if m.DataDir == "" {
		m.DataDir = filepath.Join(dir, "data")
	}
	certs := filepath.Join(dir, "certs") // an empty one is plain HTTP; the default is in the home folder
	for _, folder := range []string{m.DataDir, certs} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return nil, err
		}
	}
	client, scheme := http.DefaultClient, "http"
	if settings.TLS {
		ca, err := newTestCA(dir)
		if err != nil {
			return nil, err
		}
		if err := ca.issue(filepath.Join(certs, "public.crt"), filepath.Join(certs, "private.key")); err != nil {
			return nil, err
		}
		m.CAFile, client, scheme = ca.File, ca.client(), "https"
	}
	m.Server = &Server{
		Name: "minio", Dir: dir,
		command: []string{binary, "server", "--quiet", "--address", address, "--certs-dir", certs, m.DataDir},
		env:     append(MinIOEnv(), settings.Env...),
		probe: func(ctx context.Context) error {
			return answersOK(ctx, client, scheme+"://"+address+"/minio/health/ready")
		},
	}
	return m, nil
}

func answersOK(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	reply, err := client.Do(request)
	if err != nil {
		return err
	}
	reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, reply.Status)
	}
	// MinIO says 200 before it can be asked for anything, and names its state here.
	if state := reply.Header.Get("X-Minio-Server-Status"); state != "" {
		return fmt.Errorf("%s: %s", url, state)
	}
	return nil
}
