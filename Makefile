# Every target does its own set-up: on a fresh Debian machine with Go,
# `make demo` is all that is needed. Run it as root, or where sudo works.

GO        ?= go
SCENARIO  ?= seoul-shanghai
FUZZTIME  ?= 60
BENCHTIME ?= 1s
COUNT     ?= 1
# The lab makes network namespaces, which takes root.
SUDO      := $(shell [ "$$(id -u)" -eq 0 ] || echo sudo)

# The program says which revision it is made of, where git can tell.
VCS := $(shell git status --short >/dev/null 2>&1 && echo auto || echo false)

# Built once for each version of itself and of Go, so that it works offline after.
STATICCHECK_VERSION := v0.8.2
STATICCHECK = .cache/staticcheck-$(STATICCHECK_VERSION)-$(shell $(GO) env GOVERSION)

.DEFAULT_GOAL := help
.PHONY: help demo build setup setup-go test test-aliyun bench bench-go bench-forward bench-latency bench-sessions bench-flood bench-scale bench-control bench-repair bench-repair-speed lint generate web test-web packages test-packages fuzz ci clean

help: ## Show what can be made
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

demo: setup build ## The main job: two sites, a bad Internet, then Causeway; prints the before/after table
	$(SUDO) bin/causeway lab run $(SCENARIO)

build: setup-go ## Build bin/causeway
	@mkdir -p bin
	$(GO) build -trimpath -buildvcs=$(VCS) -o bin/causeway ./cmd/causeway

setup: ## Install what the lab and the tests need (does nothing when all is there)
	@scripts/setup.sh

setup-go: ## Check Go and fetch modules only
	@scripts/setup.sh go

test: setup ## All tests under the race detector (as root, also those that need namespaces)
	@GO=$(GO) scripts/test.sh
	@$(MAKE) --no-print-directory test-aliyun

test-aliyun: setup-go ## A controller and PoPs driven by Alibaba Cloud's own clients (as root)
	cd test/aliyun && $(GO) test -count=1 ./...

# wireguard-go is measured beside ours and linked into nothing.
WIREGUARD_VERSION := v0.0.0-20260522210424-ecfc5a8d5446
.cache/wireguard-go:
	scripts/tool.sh golang.zx2c4.com/wireguard $(WIREGUARD_VERSION) $@

BENCH = $(SUDO) bin/causeway bench

bench: bench-forward bench-latency bench-sessions bench-flood bench-scale ## All benches of the packet path beside what else there is; renews docs/benchmarks.md (12 minutes)

bench-go: setup-go ## Go's own benchmarks of every package (COUNT, BENCHTIME)
	$(GO) test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) -count $(COUNT) ./internal/...

bench-forward: setup build .cache/wireguard-go ## CPU time per packet beside kernel NAT, nginx, wireguard-go
	$(BENCH) forward --flows 1,64,10000 --rounds 5 --json docs/benchmarks/forward.json --doc docs/benchmarks.md $(BENCHFLAGS)

bench-latency: setup build ## Delay that PoPs add
	$(BENCH) latency --json docs/benchmarks/latency.json --doc docs/benchmarks.md $(BENCHFLAGS)

bench-sessions: build ## What many sessions cost a packet, and what each takes
	bin/causeway bench sessions --json docs/benchmarks/sessions.json --doc docs/benchmarks.md $(BENCHFLAGS)

bench-flood: setup build ## What honest tunnels lose while strangers flood
	$(BENCH) flood --json docs/benchmarks/flood.json --doc docs/benchmarks.md $(BENCHFLAGS)

bench-scale: setup build ## One core beside two
	$(BENCH) scale --json docs/benchmarks/scale.json --doc docs/benchmarks.md $(BENCHFLAGS)

bench-control: setup-go ## The control plane's: compiling many resources, a change on its way to 50 PoPs
	$(GO) test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) -count $(COUNT) ./internal/control/...

bench-repair-speed: build ## What loss repair takes of a core at up to 2 Gbit/s, beside sealing; renews docs/benchmarks.md
	bin/causeway bench repair --speed --doc docs/benchmarks.md

bench-repair: build ## The loss repair grid beside the baselines; renews docs/benchmarks.md
	bin/causeway bench repair --grid --doc docs/benchmarks.md

lint: setup-go ## gofmt, go vet, staticcheck
	@unformatted=$$(git ls-files -co --exclude-standard '*.go' | xargs -r gofmt -l); \
	if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; echo "  fix: gofmt -w ."; exit 1; fi
	$(GO) vet ./...
	@[ -x $(STATICCHECK) ] || scripts/tool.sh honnef.co/go/tools/cmd/staticcheck $(STATICCHECK_VERSION) $(STATICCHECK)
	$(STATICCHECK) ./...

web: ## Build the web console anew from web/ (needs npm; what it makes is committed)
	@scripts/web.sh

test-web: build ## Test the web console in headless Chromium
	@$(SUDO) scripts/web-test.sh

packages: setup-go ## Build deb, rpm, apk and an OCI image into out/packages
	@scripts/package.sh

test-packages: setup-go ## Try the packages in a fresh Debian: install, run, upgrade, purge
	@$(SUDO) scripts/package-test.sh

generate: ## Make api/gen and api/openapi anew from api/proto (needs npm; what it makes is committed)
	@scripts/generate.sh

fuzz: setup-go ## Fuzz every target in turn, FUZZTIME seconds in total
	@scripts/fuzz.sh $(FUZZTIME)

ci: ## What .ci/run runs
	.ci/run

clean: ## Remove what was built
	rm -rf bin out .cache
