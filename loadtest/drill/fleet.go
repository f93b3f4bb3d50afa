package drill

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sluice/loadtest/client"
	"sluice/loadtest/process"
	"sluice/loadtest/stack"
)

// Fleet are the servers that a gateway of kind process.Fleet uses.
type Fleet struct {
	Store *stack.MinIOServer
	Log   *stack.KafkaServer
}

// Victims of a drill.
const (
	VictimSluice = "sluice"
	VictimStore  = "minio"
	VictimLog    = "kafka"
	VictimBoth   = "minio and kafka"
)

// Use points a gateway at the servers.
func (f *Fleet) Use(gateway *process.Sluice) {
	gateway.Events = f.Log.Bootstrap
	gateway.S3 = process.S3{
		Endpoint: f.Store.Endpoint, Bucket: "mail", AccessKey: f.Store.AccessKey, SecretKey: f.Store.SecretKey,
	}
}

// servers are the victim that is no gateway.
func (f *Fleet) servers(victim string) []*stack.Server {
	switch victim {
	case VictimStore:
		return []*stack.Server{f.Store.Server}
	case VictimLog:
		return []*stack.Server{f.Log.Server}
	}
	return []*stack.Server{f.Store.Server, f.Log.Server}
}

// StartFleet starts the servers in a folder. They end with the program, or by
// Kill.
func StartFleet(folder string) (*Fleet, error) {
	f := &Fleet{}
	at := func(name string) string { return filepath.Join(folder, name) }
	for _, name := range []string{VictimStore, VictimLog} {
		if err := os.MkdirAll(at(name), 0o755); err != nil {
			return nil, err
		}
	}
	var err error
	if f.Store, err = stack.StartMinIO(at(VictimStore)); err != nil {
		return nil, err
	}
	if f.Log, err = stack.StartKafka(at(VictimLog)); err != nil {
		f.Kill()
		return nil, err
	}
	return f, nil
}

// Kill ends the servers that run.
func (f *Fleet) Kill() {
	if f.Store != nil {
		_ = f.Store.Kill() // it ends with us in any case
	}
	if f.Log != nil {
		_ = f.Log.Kill()
	}
}

// pending returns the moments at which the uploads in parts began that the bucket
// still holds, neither completed nor aborted. MinIO lists uploads of one whole key
// alone, so they are looked for where it keeps them: a folder for each key, and in
// it one for each upload, whose name ends in x and the nanoseconds of its start.
func (f *Fleet) pending() ([]time.Time, error) {
	uploads, err := filepath.Glob(filepath.Join(f.Store.DataDir, ".minio.sys", "multipart", "*", "*"))
	if err != nil {
		return nil, err
	}
	var began []time.Time
	for _, upload := range uploads {
		if _, err := os.Stat(filepath.Join(upload, "xl.meta")); err != nil {
			if os.IsNotExist(err) {
				continue // what an upload that has ended left
			}
			return nil, err
		}
		_, text, _ := strings.Cut(filepath.Base(upload), "x")
		nanoseconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%w: upload folder %s", fs.ErrInvalid, upload)
		}
		began = append(began, time.Unix(0, nanoseconds))
	}
	return began, nil
}

const (
	// bulkyEvery is how often a mail of the load is one of several parts.
	bulkyEvery = 150
	// bulkySize is more than one part of 5 MiB, and less than two.
	bulkySize = 6 << 20
)

// bulky makes some of a composer's mails so large that they go in parts.
func bulky(compose func(int64) *client.Mail) func(int64) *client.Mail {
	filler := strings.Repeat("filler filler filler filler filler filler filler\r\n", bulkySize/50)
	return func(number int64) *client.Mail {
		mail := compose(number)
		if number%bulkyEvery == 1 {
			mail.Content = append(mail.Content, filler...)
		}
		return mail
	}
}
