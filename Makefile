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
.PHONY: help demo build setup setup-go test test-aliyun bench bench-repair lint generate web test-web fuzz ci clean

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
	$(GO) test -race ./...
	@$(MAKE) --no-print-directory test-aliyun

test-aliyun: setup-go ## A controller and PoPs driven by Alibaba Cloud's own clients (as root)
	cd test/aliyun && $(GO) test -count=1 ./...

bench: setup build ## Benchmarks of the packet path, then CPU time per packet beside kernel NAT
	$(GO) test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) -count $(COUNT) ./internal/...
	$(SUDO) bin/causeway bench forward $(BENCHFLAGS)

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

generate: ## Make api/gen and api/openapi anew from api/proto (needs npm; what it makes is committed)
	@scripts/generate.sh

fuzz: setup-go ## Fuzz every target in turn, FUZZTIME seconds in total
	@scripts/fuzz.sh $(FUZZTIME)

ci: ## What .ci/run runs
	.ci/run

clean: ## Remove what was built
	rm -rf bin out .cache
