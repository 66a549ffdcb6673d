# make            build the program
# make check      what CI runs: format, vet, tests on SQLite and PostgreSQL
# make real       the test on the real systems (Tryton, Redmine; installed by apt where we are root)
# make bench      the benchmarks of the hot paths
# make drill      the whole product in simulated time, 1,000 seeds: minutes
# make soak       a night: 50,000 seeds, load for 10 and 15 minutes (SOAK=2m for less), a hundred kills, fifty sleeps
# make fuzz       each parser of strangers' bytes against made-up ones, for FUZZTIME (20s)
# make breaks     break it on purpose and count the seeds that it takes to be found
# make chaos      kills, crash points, a faulty far side, three nodes: nothing lost, nothing twice (minutes)

GO ?= go
export CGO_ENABLED = 0

.PHONY: all build check fmt vet test real bench chaos drill soak breaks fuzz

all: build

build:
	$(GO) build -trimpath -ldflags '-s -w' -o bin/throughline ./cmd/throughline

check: fmt vet test

fmt:
	@out=$$(gofmt -l .); if [ -n "$$out" ]; then echo "not formatted:"; echo "$$out"; exit 1; fi

vet:
	$(GO) vet ./...

test:
	scripts/with-postgres $(GO) test -timeout 20m ./...

real:
	scripts/real/test.sh $(GO) test -count=1 -timeout 10m -run TestRealSystems -v ./cmd/throughline

bench:
	$(GO) test -run '^$$' -bench . -benchmem ./internal/...

drill:
	DRILL_SEEDS=1000 $(GO) test -count=1 -timeout 30m -run TestSeeds ./internal/drill

soak: build
	scripts/with-postgres scripts/soak
	DRILL_SEEDS=50000 $(GO) test -count=1 -timeout 0 -run TestSeeds ./internal/drill

fuzz:
	scripts/fuzz

breaks:
	DRILL_BREAK=1 $(GO) test -count=1 -timeout 30m -v -run TestBreaksAreFound ./internal/drill

chaos: build
	scripts/with-postgres scripts/chaos
