# make run and make test are all that a newcomer needs; run needs only Go.

FUZZTIME ?= 20s
FOR      ?= 60s
TESTTIME ?= 20m
ARGS     ?=
SERIAL    = ./gateway/sim . ./codec ./index/indextest ./index/sqlite
SLOW      = ./loadtest ./pipeline/s3 ./pipeline/kafka ./loadtest/stress

export PATH := $(PATH):/usr/sbin:/sbin
LINTER = $${XDG_CACHE_HOME:-$$HOME/.cache}/sluice/bin/golangci-lint

# What the binary says of itself. A tree without .git, as an image has it, knows its
# version by the file VERSION, and its revision only when it is told (REVISION=…).
# Another repository around such a tree is not asked.
git = $(if $(wildcard .git),$(shell git $(1) 2>/dev/null))
VERSION  ?= $(or $(call git,describe --tags --dirty),$(shell cat VERSION))
REVISION ?= $(or $(call git,rev-parse HEAD),unknown)$(if $(call git,status --porcelain --untracked-files=no),+modified)

# Ends Sluice when make is killed and can tell it nothing; not every setpriv can.
TETHER = $$(setpriv --pdeathsig TERM true 2>/dev/null && echo setpriv --pdeathsig TERM)

.PHONY: run build check test tools lint fmt bench drill sim fuzz

# Sluice with the embedded default: SMTP on 127.0.0.1:2525, files under ./sluice-data.
# It takes the shell's place, so that what make or a terminal sends reaches it. make
# itself fails with 2 whatever the code was, and names it.
run: build
	@exec $(TETHER) bin/sluice $(ARGS)

# bin/sluice, one static binary.
build:
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -o bin/sluice \
		-ldflags "-X main.stampedVersion=$(VERSION) -X main.stampedRevision=$(REVISION)" ./gateway

# What a change is tried with, in a minute or two: vet, and the tests that need only Go.
# Many of them wait more than they compute, so packages run four at a time. vet has seen
# all, so go test does not run it again.
check:
	go vet ./...
	go test -vet=off -short -p 4 ./...

# Everything that must be green: vet, linter, all tests. Packages whose code has no
# goroutine, SQLite, which is translated from C, and two tests of memory run without the
# race detector: it finds nothing there and takes up to eight times as long. What of
# index/sqlite is ours has some tests with it. Of the others those that take minutes begin
# first, so that none is left alone at the end. Two run at a time: with three, tests of
# time suffer on two processors. What failed stands at the end.
TESTS = TEST_TOOLS=required go run ./internal/testrun -vet=off -shuffle=on -timeout $(TESTTIME) -p 2
test: tools
	go vet ./...
	"$(LINTER)" run ./...
	go test -vet=off -run 'TestNoAllocations|TestMillion' ./codec/tlscodec ./gateway/recipients
	$(TESTS) $(SERIAL)
	$(TESTS) -race -run 'TestLocked|TestReplaced|TestConformance/concurrent' ./index/sqlite
	$(TESTS) -race $(SLOW) $$(go list ./... | grep -vxF "$$(go list $(SERIAL))")

# What the tests need beside Go (Debian packages, the linter); quick when it is there.
tools:
	@.ci/tools

lint: tools
	"$(LINTER)" run ./...

fmt: tools
	"$(LINTER)" fmt ./...

# Sluice, smtp-sink and a go-smtp server under the same load; tables in bench-results/.
bench: tools
	go run ./loadtest bench $(ARGS)

# kill -9 under load, 20 times, then every acknowledged message is looked for; then
# brokers of three are frozen and killed; then the configuration is reloaded each second;
# then the resolver is stopped, slow, dead and broken while mail is verified;
# then mails of every form are looked for in the index, and its indexers are killed;
# then the loads that must be outlived within bounds; then the tests that count messages,
# with ten times as many, and ten rolling restarts behind HAProxy. Each fails when it was
# not held.
drill:
	go run ./loadtest drill $(ARGS)
	go run ./loadtest drill --on cluster --sessions 30
	go run ./loadtest drill --on fleet --away 60s --sessions 20
	go run ./loadtest drill --reload 60s --sessions 20
	go run ./loadtest drill --verify 10s --rounds 2 --sessions 20
	go run ./loadtest drill --mails 10000
	go run ./loadtest drill --mails 10000 --on fleet
	go run ./loadtest drill --mails 10000 --on fleet --unpacked
	go run ./loadtest drill --indexers 60s --on fleet --sessions 20
	go run ./loadtest stress
	go test -count=1 -timeout 1h -run '^(TestSmtpSource|TestFleet|TestRollingRestart)$$' ./loadtest -messages 10000 -restarts 10

# Sluice on a simulated reactor, store and log: SEEDS worlds, or fresh ones FOR a time.
sim:
	go test ./gateway/sim -count=1 -timeout 2h -v -run 'TestSeeds' $(if $(SEEDS),-sim.seeds=$(SEEDS),-sim.for=$(FOR))

# Every fuzz target, or those named TARGET, FUZZTIME each.
fuzz:
	@FUZZTIME=$(FUZZTIME) TARGET=$(TARGET) .ci/fuzz
