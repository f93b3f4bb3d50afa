package config

import (
	"math"
	"net"
	"strconv"
	"strings"

	"sluice/pipeline/s3"
)

// S3Config is the bucket of the store of kind s3.
type S3Config struct {
	Endpoint     string // host:port, or host alone
	Bucket       string
	Region       string // "" to detect it
	Secure       bool   // https
	CAFile       string // "" for the system's certificate authorities alone
	Credentials  string // static, env or iam
	AccessKey    string // of static credentials
	SecretKey    Secret
	PartSize     Size
	Concurrency  int // concurrent requests
	CreateBucket bool
	SSE          string // server-side encryption
	// accessKeyFile is the file that AccessKey was read from, "" for none.
	accessKeyFile string
}

// KindS3 names the object store in a bucket.
const KindS3 = "s3"

var s3Kind = kind{
	name:       KindS3,
	spareLanes: true,
	keys:       s3Keys,
	checks:     []check{{forAll, single(checkS3)}},
	warnings:   s3Warnings,
	describe: func(c *Config, _ string) string {
		return "bucket " + c.Store.S3.Bucket + " at " + c.Store.S3.Endpoint
	},
	parts: func(c *Config) Parts {
		return Parts{Size: int64(c.Store.S3.PartSize), Concurrency: c.Store.S3.Concurrency, key: "store.s3.part_size"}
	},
}

func s3Warnings(c *Config) []string {
	if at := &c.Store.S3; !at.Secure && !isLoopbackEndpoint(at.Endpoint) {
		return []string{"store.s3.secure is false: mail goes to " + at.Endpoint + " without TLS"}
	}
	return nil
}

func defaultS3() S3Config {
	return S3Config{
		Endpoint:    "127.0.0.1:9000", // MinIO on this machine
		Bucket:      "mail",
		Credentials: s3.CredentialsStatic,
		// The minimum of S3: a message that fits is one request, and a larger part means
		// more memory for one slow sender.
		PartSize: s3.MinPartSize,
		// With the smallest part size this allows 160 MiB of parts in flight, in
		// proportion to the memory of small pods. A more distant store needs more for the
		// same rate.
		Concurrency: 32,
	}
}

// s3Keys are the keys of the section store.s3.
var s3Keys = []key{
	{"store.s3.endpoint", func(c *Config) value { return text{&c.Store.S3.Endpoint, isEndpoint} },
		"a host and a port, without a scheme", `"minio.example.net:9000"`},
	{"store.s3.bucket", func(c *Config) value { return text{&c.Store.S3.Bucket, isBucket} },
		"a bucket's name: 3 to 63 lower-case letters, digits, dots and hyphens", "mail"},
	{"store.s3.region", func(c *Config) value { return text{&c.Store.S3.Region, isRegion} },
		`a region's name, or "" to find it out`, "us-east-1"},
	{"store.s3.secure", func(c *Config) value { return boolean{&c.Store.S3.Secure} },
		trueOrFalse, "true"},
	{"store.s3.ca_file", func(c *Config) value { return text{&c.Store.S3.CAFile, isPrintable} },
		`the path of a file of certificates (PEM), or ""`, `"/etc/sluice/ca.pem"`},
	{"store.s3.credentials", func(c *Config) value {
		return choice{&c.Store.S3.Credentials, []string{s3.CredentialsStatic, s3.CredentialsEnv, s3.CredentialsIAM}, nil}
	},
		"static, env or iam", "static"},
	{"store.s3.access_key", func(c *Config) value {
		return keyName{text{&c.Store.S3.AccessKey, isPrintable}, &c.Store.S3.accessKeyFile}
	},
		"the name of a key", `"sluice"`},
	{"store.s3.secret_key", func(c *Config) value { return secretValue{&c.Store.S3.SecretKey} },
		"a secret, better by " + "store.s3.secret_key" + fileSuffix, `"…"`},
	{"store.s3.part_size", func(c *Config) value { return byteSize{&c.Store.S3.PartSize, s3.MinPartSize, GiB} },
		"a size from 5MiB (an S3 rule) to 1GiB", "5MiB"},
	{"store.s3.concurrency", func(c *Config) value { return integer{&c.Store.S3.Concurrency, 1, math.MaxInt16} },
		aCount, "32"},
	{"store.s3.create_bucket", func(c *Config) value { return boolean{&c.Store.S3.CreateBucket} },
		trueOrFalse, "false"},
	{"store.s3.sse", func(c *Config) value { return text{&c.Store.S3.SSE, s3.ValidSSE} },
		`"", AES256, aws:kms or aws:kms:<key id>`, `"AES256"`},
}

func isEndpoint(text string) bool {
	host := text
	if i := strings.LastIndexByte(text, ':'); i >= 0 && !strings.HasSuffix(text, "]") {
		var port string
		var err error
		if host, port, err = net.SplitHostPort(text); err != nil {
			return false
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return false
		}
	}
	return host != "" && strings.Trim(strings.ToLower(host), "abcdefghijklmnopqrstuvwxyz0123456789.-:[]") == ""
}

// isBucket reports whether name follows the naming rule that all S3 servers share.
func isBucket(name string) bool {
	if len(name) < 3 || len(name) > 63 || strings.ContainsAny(name[:1]+name[len(name)-1:], ".-") || strings.Contains(name, "..") {
		return false
	}
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") == ""
}

func isRegion(name string) bool {
	return strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

func isPrintable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// checkS3 requires the parts of static credentials.
func checkS3(c *Config) *Problem {
	s := &c.Store.S3
	switch {
	case s.Credentials != s3.CredentialsStatic:
		return nil
	case s.AccessKey == "":
		return c.conflict("store.s3.access_key", "the name of a key, because store.s3.credentials is static",
			"set it and store.s3.secret_key"+fileSuffix+", or e.g. "+c.Setting("store.s3.credentials", s3.CredentialsEnv))
	case s.SecretKey.Reveal() == "":
		return c.conflict("store.s3.secret_key", "a secret, because store.s3.credentials is static",
			"set e.g. "+c.Setting("store.s3.secret_key"+fileSuffix, "/run/secrets/secret_key"))
	}
	return nil
}

// isLoopbackEndpoint reports whether endpoint is on this machine.
func isLoopbackEndpoint(endpoint string) bool {
	host, _, err := net.SplitHostPort(endpoint)
	if err != nil {
		host = endpoint
	}
	return host == "localhost" || isLoopback(net.JoinHostPort(host, "0"))
}
