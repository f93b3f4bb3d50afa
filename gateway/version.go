package main

import (
	"runtime"
	"runtime/debug"

	"sluice/gateway/server"
	"sluice/metrics"
)

// stampedVersion and stampedRevision are set by the linker (make build, Dockerfile):
// without .git the Go tool cannot write them into the binary.
var stampedVersion, stampedRevision string

// build returns what is running, as make build or else the Go tool recorded it in the
// binary.
func build() metrics.Build {
	b := metrics.Build{Version: "unknown", Revision: "unknown", GoVersion: runtime.Version()}
	if stampedVersion != "" {
		b.Version, b.Revision = stampedVersion, stampedRevision
		return b
	}
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

// version returns one line for people and scripts: name, version, revision, Go.
func version() string { return server.VersionLine(build()) }
