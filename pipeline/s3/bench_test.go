package s3

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sys/unix"

	"sluice/pipeline"
	"sluice/pipeline/porttest"
)

const benchConcurrency = 32

// BenchmarkPut stores messages of 10 KiB and 1 MiB. In the same run it stores the same
// bytes by bare minio-go requests at the same concurrency. It does so with our settings,
// and with minio-go's defaults: a transport of 16 idle connections, and signed payloads.
func BenchmarkPut(b *testing.B) {
	for _, size := range []int{10 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("sluice/%dKiB", size>>10), func(b *testing.B) { benchStore(b, size) })
		b.Run(fmt.Sprintf("raw/%dKiB", size>>10), func(b *testing.B) { benchRaw(b, size, benchClient(b)) })
		b.Run(fmt.Sprintf("raw-defaults/%dKiB", size>>10), func(b *testing.B) {
			o := minioServer.options(b)
			c, err := minio.NewCore(o.Endpoint, &minio.Options{Creds: benchClient(b).client.credentials, Region: o.Region})
			if err != nil {
				b.Fatal(err)
			}
			r := benchClient(b)
			r.client.Core = c
			benchRaw(b, size, r)
		})
	}
}

// benchClient returns a client with a bucket, as a Store sets it up.
func benchClient(b *testing.B) *Reader {
	o := minioServer.options(b)
	o.Concurrency = benchConcurrency
	return &mustOpen(b, o).Reader
}

func benchStore(b *testing.B, size int) {
	o := minioServer.options(b)
	o.Concurrency = benchConcurrency
	s := mustOpen(b, o)
	free := make(chan *pipeline.Message, 2*benchConcurrency)
	for range cap(free) {
		free <- porttest.NewMessage(make([]byte, size))
	}
	b.SetBytes(int64(size))
	n := uint64(0)
	for b.Loop() {
		m := <-free
		if m.Result.Err != nil {
			b.Fatal(m.Result.Err)
		}
		n++
		m.ID = pipeline.NewID(time.Now(), counted(n<<8))
		m.Loop = returnPoster{m, free}
		s.Put(m)
	}
	for range cap(free) {
		<-free
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

type counted uint64

func (c counted) Uint64() uint64 { return uint64(c) }

type returnPoster struct {
	m    *pipeline.Message
	free chan *pipeline.Message
}

func (d returnPoster) Post(*pipeline.Task) { d.free <- d.m }

func benchRaw(b *testing.B, size int, r *Reader) {
	content := make([]byte, size)
	o := minio.PutObjectOptions{
		ContentType:          "message/rfc822",
		DisableContentSha256: true,
		UserMetadata:         map[string]string{headerChecksum: checksum(crc32.Checksum(content, castagnoli))},
	}
	b.SetBytes(int64(size))
	b.ResetTimer()
	keys := make(chan int)
	var group sync.WaitGroup
	for range benchConcurrency {
		group.Go(func() {
			for n := range keys {
				key := fmt.Sprintf("2026/01/01/00/%d.eml", n)
				if _, err := r.client.PutObject(b.Context(), r.bucket, key, bytes.NewReader(content), int64(size), "", "", o); err != nil {
					b.Error(err)
				}
			}
		})
	}
	n := 0
	for b.Loop() {
		n++
		keys <- n
	}
	close(keys)
	group.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

type countingPoster chan struct{}

func (d countingPoster) Post(*pipeline.Task) { d <- struct{}{} }

// BenchmarkUpload stores messages of 64 MiB in parts, and the same bytes by minio-go's
// own multipart upload with all parts in flight.
func BenchmarkUpload(b *testing.B) {
	const size, parts = 64 << 20, 12
	b.Run("sluice", func(b *testing.B) {
		s := mustOpen(b, minioServer.options(b))
		m := porttest.NewMessage(make([]byte, MinPartSize))
		header := m.Header
		results := make(chan struct{}, parts+1)
		all := make([]*pipeline.Part, parts)
		for i := range all {
			all[i] = &pipeline.Part{Message: m, Number: i + 2}
			porttest.Fill(&all[i].Body, make([]byte, min(MinPartSize, size-(i+1)*MinPartSize)))
		}
		m.Loop = countingPoster(results)
		b.SetBytes(size)
		n := uint64(0)
		defer reportCPU(b)()
		for b.Loop() {
			n++
			m.ID, m.Header, m.Parts.Upload = pipeline.NewID(time.Now(), counted(n<<8)), nil, nil
			for _, p := range all {
				s.PutPart(p)
			}
			for range all {
				<-results
			}
			m.Header = header
			s.Put(m)
			if <-results; m.Result.Err != nil {
				b.Fatal(m.Result.Err)
			}
		}
	})
	b.Run("raw", func(b *testing.B) {
		r := benchClient(b)
		content := make([]byte, size)
		b.SetBytes(size)
		defer reportCPU(b)()
		for b.Loop() {
			_, err := r.client.Client.PutObject(b.Context(), r.bucket, "raw", bytes.NewReader(content), size, minio.PutObjectOptions{
				PartSize: MinPartSize, NumThreads: benchConcurrency, DisableContentSha256: true,
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

// reportCPU reports the CPU time of the client per gigabyte. On a machine that it shares
// with the store the rate says little about the client.
func reportCPU(b *testing.B) (end func()) {
	before := processorTime(b)
	return func() {
		b.ReportMetric((processorTime(b)-before).Seconds()/(float64(b.N)*float64(64<<20)/1e9), "CPU-s/GB")
	}
}

func processorTime(b *testing.B) time.Duration {
	var at unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &at); err != nil {
		b.Fatal(err)
	}
	return time.Duration(at.Nano())
}
