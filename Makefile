# All tasks of the project; `make help` lists them.
SHELL      := /bin/bash
.DEFAULT_GOAL := help

PROGRAMS   := edge bridge core portal sim
VERSION    ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS    := -s -w -X industrial-iot-monitor/internal/ops.Version=$(VERSION)
GO         ?= go
KAFKA_ADDR ?= 127.0.0.1:9092
UI         := portal/ui
UI_SOURCES := $(shell find $(UI) -path $(UI)/node_modules -prune -o -path $(UI)/dist -prune -o -type f -print 2>/dev/null)
FUZZTIME   ?= 10s
RATES      ?= 200@5s,2000@5s,20000,20000+busy,100000,100000x50,100000+one,drain,drain20,idle
DURATION   ?= 60s
SOAK       ?= 30m
CLIENTS    ?= 1000
LOAD       ?= 60s
SCALE_GATEWAYS ?= 1000
SCALE      ?=
BENCH_KAFKA    ?= embedded
BENCH_BUSY     ?= 0
BENCH_ONE      ?= 0
BENCH_OUTAGE   ?= 0
BENCH_COUNT    ?= 1
BENCH_FAIL     ?= 0
BENCH_PROFILES ?= 0
EVAL_DEVICES   ?= 2000
EVAL_SEEDS     ?= 11,12,13
LINT       := $(shell $(GO) env GOPATH)/bin/golangci-lint
LINT_VERSION := v2.15.0
# Of all tests that make test leaves out: none of them excludes another.
LINT_TAGS  := e2e,engines,monitoring,nab,postgres,redis,tracing,upgrade
VULN_VERSION := v1.9.0
SBOM_VERSION := v1.10.0
K6         := $(shell $(GO) env GOPATH)/bin/k6
K6_VERSION := v1.8.1
COMPOSE    ?= $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
DRILL      ?=
PKG        ?= ./edge/internal/ingest ./bridge/internal/lane ./internal/kafka ./core/processor ./core/internal/alarm ./portal/internal/...
N          ?= 40
SEED       ?= 1
MUTATE     ?=
service    ?=

.PHONY: help
help: ## list the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ---- build and run -------------------------------------------------------------

.PHONY: deps
deps: $(UI)/node_modules ## download the Go modules and the page's build tool
	$(GO) mod download

.PHONY: build
build: web ## build bin/{edge,bridge,core,portal,sim,allinone}
	@mkdir -p bin
	@for p in $(PROGRAMS); do echo "build bin/$$p"; CGO_ENABLED=0 $(GO) build -trimpath -ldflags "$(LDFLAGS)" -o bin/$$p ./$$p || exit 1; done
	@echo "build bin/allinone"; CGO_ENABLED=0 $(GO) build -trimpath -ldflags "$(LDFLAGS)" -o bin/allinone ./deploy/allinone

.PHONY: demo
demo: web ## run everything in one process: three buildings, 1,000 devices, the page on http://127.0.0.1:8080
	$(GO) run ./deploy/allinone

.PHONY: dev-env
dev-env: ## write .env from .env.example if missing
	@if [ -e .env ]; then echo ".env exists, unchanged"; else cp .env.example .env && echo "wrote .env"; fi

.PHONY: web
web: $(UI)/dist/index.html ## bundle the page into portal/ui/dist (needs Node.js and npm)

$(UI)/node_modules: $(UI)/package-lock.json
	@command -v npm >/dev/null || { echo "make web needs Node.js 20 or newer with npm"; exit 1; }
	cd $(UI) && npm ci --no-audit --no-fund
	@touch $@

$(UI)/dist/index.html: $(UI)/node_modules $(UI_SOURCES)
	cd $(UI) && npm run --silent build

# ---- Kafka for development -----------------------------------------------------

.PHONY: kafka-up
kafka-up: ## start Apache Kafka on 127.0.0.1:9092 with its data under ./data/kafka (needs Java 17 and Maven)
	deploy/kafka/kafka.sh up

.PHONY: kafka-setup
kafka-setup: ## create the product's topics on it
	deploy/kafka/kafka.sh setup

.PHONY: kafka-down
kafka-down: ## stop it; its data stays
	deploy/kafka/kafka.sh down

# ---- tests ---------------------------------------------------------------------

# One package more than there are processors at a time: tests wait for a quarter of their time.
.PHONY: test
test: web ## all tests: Go with the race detector in random order, then the page
	CGO_ENABLED=1 $(GO) test -race -shuffle=on -p $$(($$(getconf _NPROCESSORS_ONLN) + 1)) -timeout 15m ./...
	cd $(UI) && npm test --silent

.PHONY: test-kafka
test-kafka: web ## the broker-facing tests and the end-to-end test against Apache Kafka; TEST_KAFKA_ALL=1: with those of the portal's API
	deploy/kafka/test.sh

.PHONY: test-history
test-history: ## the history in real VictoriaMetrics and InfluxDB (apt): same answers, and what happens when they fail; PromQL beside a real Prometheus; a nightly job (the first time builds for minutes)
	deploy/history/test.sh

.PHONY: test-store
test-store: web ## the portal's database in a real PostgreSQL (apt): what SQLite does (the tests ask both more questions here than in make test), and a server that is killed or stands still
	deploy/postgres/test.sh

.PHONY: test-redis
test-redis: web ## what portals share by a real Redis (apt): readings, operators, limits; one that is killed, slow or stands still
	deploy/redis/test.sh

.PHONY: test-tracing
test-tracing: web ## one reading as one trace in a real Jaeger; a nightly job (the first time builds Jaeger for minutes)
	test/tracing/test.sh

.PHONY: test-api
test-api: web ## the portal against its own OpenAPI document, by schemathesis (Python with venv): thousands of requests to a running plant; SEED
	test/api/test.sh

.PHONY: test-rules
test-rules: ## the alerts of deploy/prometheus: promtool's checks, and its tests of each alert (needs promtool and amtool); the files of deploy/grafana
	deploy/prometheus/check.sh
	deploy/grafana/check.sh

.PHONY: dashboards
dashboards: ## write the dashboards' files from deploy/grafana/*.go
	deploy/grafana/check.sh update

.PHONY: test-dashboards
test-dashboards: web ## every query of the dashboards with a real Prometheus and VictoriaMetrics (apt) that watch the real programs: none fails or has no data (a minute)
	deploy/grafana/test.sh

.PHONY: test-monitoring
test-monitoring: web ## the alerts with a real Prometheus and Alertmanager (apt) that watch the real programs while some break (10 minutes); a nightly job
	deploy/prometheus/test.sh

.PHONY: test-deploy
test-deploy: ## deploy.sh with local processes (apt): profile recommended started, started again, broken, mended, stopped (needs Java, Maven, root)
	deploy/release/test.sh
	deploy/test.sh

.PHONY: test-helm
test-helm: ## Helm charts and Kustomize overlays without a cluster: lint, schemas of Kubernetes, wrong values (Python with venv; the first time builds helm for minutes)
	GO="$(GO)" deploy/helm/test.sh

.PHONY: test-k8s
test-k8s: ## the charts in a real control plane of Kubernetes, with nodes that kwok plays: install, upgrade, rollback, scale, drain; a nightly job (the first time builds Kubernetes for 10 minutes; needs kubectl, apt or etcd)
	GO="$(GO)" test/k8s/test.sh

.PHONY: kustomize-base
kustomize-base: ## write deploy/kustomize/base from the chart (after make test-helm has built helm)
	deploy/kustomize/render.sh "$$(ls data/kubernetes-tools/helm-v* | tail -1)" deploy/kustomize/base

.PHONY: e2e
e2e: web ## real programs as processes: 1,000 devices, restarts, bad input; exactly once, in order (test-kafka does it with Apache Kafka)
	$(GO) test -tags e2e -count=1 -timeout 20m -v ./test/e2e/...

.PHONY: eval
eval: ## the detector of anomalies on simulated plants (EVAL_DEVICES, EVAL_SEEDS) and on public data in NAB_DIR and SKAB_DIR: the tables of docs/detection.md (2,000 devices need half an hour)
	$(GO) run ./core detect eval -devices $(EVAL_DEVICES) -seeds $(EVAL_SEEDS) $(if $(NAB_DIR),-nab "$(abspath $(NAB_DIR))") $(if $(NAB_LABELS),-nab-labels "$(abspath $(NAB_LABELS))") $(if $(SKAB_DIR),-skab "$(abspath $(SKAB_DIR))")

.PHONY: eval-nab
eval-nab: ## the novelty measure on the series of NAB_DIR (combined_windows.json and CSVs; NAB_LABELS, if the labels are elsewhere): the tables of docs/detection-nab.md (5 minutes)
	$(GO) test -tags nab -count=1 -timeout 30m -run 'NAB|OneFolderOut|UsualDays' -v ./core/internal/novelty -args -nab "$(abspath $(NAB_DIR))" -nab-labels "$(if $(NAB_LABELS),$(abspath $(NAB_LABELS)))"

.PHONY: drill
drill: web ## outages of everything under load: nothing lost, duplicated, out of order (70 minutes; needs Java, Maven, root)
	$(GO) run ./test/drill $(DRILL)

.PHONY: drill-quick
drill-quick: web ## the same with fewer and shorter outages, about 10 minutes; DRILL='-only gateway-kill' for single faults
	$(GO) run ./test/drill -quick $(DRILL)

.PHONY: test-ui
test-ui: build ## the page in headless Chromium (CHROMIUM) with 1,000 devices that send every second; screenshots in bench-results/ui; UI_FULL=1: 10,000 devices, full length, strict limits
	cd $(UI) && UI_DEVICES=$${UI_DEVICES:-$(if $(UI_FULL),10000,1000)} node --test --test-timeout=$(if $(UI_FULL),3600000,1500000) --test-concurrency=1 test/browser/*.test.js

.PHONY: pictures
pictures: build ## take the pictures of README in both languages, docs/img, with headless Chromium
	cd $(UI) && UI_PICTURES=1 node --test --test-name-pattern 'the pictures of' test/browser/access.test.js

.PHONY: race
race: web ## Go tests with the race detector, three times in random order
	CGO_ENABLED=1 $(GO) test -race -shuffle=on -count=3 -timeout 40m ./...

.PHONY: cover
cover: web ## Go tests with the coverage of the product (goal: 85 %), coverage.html and the badge of README, without the race detector: counting beside it takes several times as long; a nightly job
	$(GO) test -timeout 15m -coverprofile=coverage.out ./...
	$(GO) tool cover -html=coverage.out -o coverage.html
	@GO="$(GO)" test/coverage/badge.sh coverage.out docs/img/coverage.svg

.PHONY: lint
lint: $(LINT) ## golangci-lint, shellcheck, go mod tidy check
	$(LINT) run --build-tags $(LINT_TAGS) ./...
	@if command -v shellcheck >/dev/null; then shellcheck deploy/*.sh deploy/*/*.sh test/*/*.sh .ci/run; else echo "shellcheck is not installed"; exit 1; fi
	$(GO) mod tidy -diff
	deploy/grafana/check.sh lint

$(LINT):
	$(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

.PHONY: fuzz
fuzz: ## fuzz every decoder for FUZZTIME (10s) each
	@$(GO) list -f '{{$$d := .ImportPath}}{{range .TestGoFiles}}{{$$d}} {{$$.Dir}}/{{.}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$$d}} {{$$.Dir}}/{{.}}{{"\n"}}{{end}}' ./... | \
	while read -r pkg file; do [ -n "$$file" ] && sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' "$$file" | while read -r f; do \
	echo "fuzz $$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) "$$pkg" </dev/null || exit 1; done || exit 1; done

.PHONY: vuln
vuln: ## known vulnerabilities that the programs' code reaches (govulncheck); needs vuln.go.dev, or GOVULNDB=file:///copy of its database
	$(GO) run golang.org/x/vuln/cmd/govulncheck@$(VULN_VERSION) ./...
	cd $(UI) && npm audit --omit=dev

.PHONY: sbom
sbom: $(UI)/node_modules ## what the programs and the page are made of, as CycloneDX, into dist: sbom.go.json, sbom.ui.json
	@mkdir -p dist
	$(GO) run github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@$(SBOM_VERSION) mod -licenses -json -output dist/sbom.go.json
	cd $(UI) && npm sbom --sbom-format cyclonedx --omit dev > ../../dist/sbom.ui.json

.PHONY: packages
packages: web ## dist: the programs as static binaries and the package of the gateway (deb, rpm, apk), amd64 and arm64, SHA256SUMS; PACKAGE_VERSION=1.4.0 (the first time builds for minutes)
	GO="$(GO)" VERSION="$(VERSION)" LDFLAGS="$(LDFLAGS)" deploy/packages/build.sh

.PHONY: sbom-packages
sbom-packages: ## what each program in dist (make packages) is made of, as CycloneDX beside it, read from the program itself; apart from packages, which need no such tool
	@set -e; ls dist/*-linux-* >/dev/null; for f in $$(ls dist/*-linux-* | grep -v 'cdx.json$$'); do echo "sbom $$f.cdx.json"; \
	$(GO) run github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@$(SBOM_VERSION) bin -json -output $$f.cdx.json $$f; done

.PHONY: sign
sign: ## sign dist/SHA256SUMS (make packages) with KEY=path of a pair of keys without .key (deploy/packages/sign.sh key makes one); the first time builds cosign for minutes
	GO="$(GO)" KEY="$(KEY)" deploy/packages/sign.sh sign

.PHONY: release
release: ## a release of the tagged commit in dist: programs, packages, SBOM, checksums, signature (KEY=path of the pair of keys without .key), notes from CHANGELOG.md; publishes nothing
	KEY="$(KEY)" MAKE="$(MAKE)" deploy/release/release.sh build

.PHONY: test-release
test-release: web ## what a release refuses, and one of a single program; a nightly job (make test-deploy has all but the build)
	BUILD=1 deploy/release/test.sh

.PHONY: test-packages
test-packages: ## the deb in a throwaway copy of this machine: install, enrol at a real hub, run, upgrade, remove, purge; metadata of rpm and apk; a nightly job (Debian, root)
	GO="$(GO)" deploy/packages/test.sh

.PHONY: test-upgrade
test-upgrade: ## the release named in test/upgrade/before (or UPGRADE_FROM) and this version take turns on one buffer: nothing lost or doubled; a nightly job (needs the history of git)
	$(GO) test -tags upgrade -count=1 -timeout 20m -v ./test/upgrade/...

.PHONY: mutate
mutate: web ## mutation testing: which faults in the code of PKG its tests miss; N mutants per package (40; 0: all), SEED, MUTATE='-p 2 -min 80'; a nightly job (2 hours)
	$(GO) run ./test/mutate -n $(N) -seed $(SEED) $(MUTATE) $(PKG)

.PHONY: bench benchmark
bench: web ## Go benchmarks, then bench-chain; a nightly job
	$(GO) test -run '^$$' -bench . -benchmem ./internal/... ./edge/... ./bridge/... ./core/... ./portal/... ./sim/...
	@$(MAKE) --no-print-directory bench-chain
benchmark: bench

.PHONY: soak
soak: web ## every program and the all-in-one with 3,000 devices each for SOAK (30m): fails when the memory of a process keeps growing
	$(GO) run ./test/soak -for $(SOAK)

.PHONY: scale
scale: web ## SCALE_GATEWAYS (1000) gateways on one hub, bridge, core and portal: what each costs, a killed bridge, one busy gateway (8 minutes); SCALE='-stage 30s'
	$(GO) run ./test/scale -gateways $(SCALE_GATEWAYS) $(SCALE)

.PHONY: bench-chain
bench-chain: web ## the chain at RATES (go run ./loadtest/bench -h) for DURATION each, beside goals and the last run; BENCH_KAFKA=real, _BUSY=2, _ONE=1, _OUTAGE=5m, _COUNT=5, _FAIL=1, _PROFILES=1
	$(GO) run ./loadtest/bench -rates $(RATES) -duration $(DURATION) -kafka $(BENCH_KAFKA) -busy $(BENCH_BUSY) \
		-one=$(BENCH_ONE) -outage $(BENCH_OUTAGE) -count $(BENCH_COUNT) -fail=$(BENCH_FAIL) -profile=$(BENCH_PROFILES)

.PHONY: load
load: $(K6) ## k6: CLIENTS (1000) WebSocket clients for LOAD (60s) against a running portal (make demo; more than 900: with WEBSOCKET_MAX_CONNECTIONS)
	GOGC=400 $(K6) run -e CLIENTS=$(CLIENTS) -e DURATION=$(LOAD) loadtest/portal.js

$(K6):
	$(GO) install go.k6.io/k6@$(K6_VERSION)

# ---- containers ----------------------------------------------------------------

.PHONY: docker-build
docker-build: ## build the images (needs a Docker Engine)
	$(COMPOSE) build

.PHONY: docker-up
docker-up: ## start everything in containers
	$(COMPOSE) up -d
	$(COMPOSE) ps

.PHONY: docker-down
docker-down: ## stop it; the volumes stay
	$(COMPOSE) down

.PHONY: logs
logs: ## the containers' last log lines; service=edge-a for one of them
	$(COMPOSE) logs --tail=200 $(service)

.PHONY: logs-follow
logs-follow: ## follow the containers' logs; service=…
	$(COMPOSE) logs -f --tail=50 $(service)

.PHONY: logs-error
logs-error: ## only errors; service=…
	@$(COMPOSE) logs --tail=2000 $(service) | grep -E 'level=ERROR|"level":"ERROR"|panic' || echo "no errors in the last 2000 lines"

# ---- miscellaneous ------------------------------------------------------------------

.PHONY: docs
docs: ## write the documentation of every Go package as text to dist/docs
	@for p in $$($(GO) list ./...); do f=dist/docs/$${p#industrial-iot-monitor/}.txt; \
	mkdir -p "$$(dirname "$$f")" && $(GO) doc -all "$$p" > "$$f" || exit 1; done; echo "see dist/docs"

.PHONY: clean
clean: ## remove build results and the demo's data (./data)
	rm -rf bin dist data coverage.out coverage.html bench-results $(UI)/node_modules
	find $(UI)/dist -mindepth 1 ! -name .gitkeep -delete 2>/dev/null || true
