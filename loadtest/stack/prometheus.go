package stack

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
)

// PrometheusServer gathers metrics of targets on this machine.
type PrometheusServer struct {
	*Server
	Address string // host:port
}

func newPrometheus(dir, address, target string) (*PrometheusServer, error) {
	program, err := installed("prometheus")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "prometheus.yml")
	config := fmt.Sprintf(`global: {scrape_interval: 5s}
scrape_configs:
  - job_name: sluice
    static_configs: [{targets: [%q]}]
`, target)
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		return nil, err
	}
	p := &PrometheusServer{Address: address}
	p.Server = &Server{
		Name: "prometheus", Dir: dir,
		command: []string{program, "--config.file=" + file, "--storage.tsdb.path=" + filepath.Join(dir, "data"),
			"--web.listen-address=" + address},
		probe: func(ctx context.Context) error {
			return answersOK(ctx, http.DefaultClient, "http://"+address+"/-/ready")
		},
	}
	return p, nil
}
