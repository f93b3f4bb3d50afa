package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"sluice/metrics"
)

// build says what is running, as the Go tool wrote it into the binary.
func build() metrics.Build {
	b := metrics.Build{Version: "unknown", Revision: "unknown", GoVersion: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	modified := false
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			b.Revision = setting.Value
		case "vcs.modified":
			modified = setting.Value == "true"
		}
	}
	if modified {
		b.Revision += "+modified"
	}
	return b
}

// version is one line for people and scripts: name, version, revision, Go.
func version() string {
	b := build()
	return fmt.Sprintf("sluice %s (revision %s, %s, %s/%s)", b.Version, b.Revision, b.GoVersion, runtime.GOOS, runtime.GOARCH)
}
