# What CI does, by hand. `make help` lists the targets.
SHELL := /bin/sh
.DEFAULT_GOAL := help

BIN := $(CURDIR)/.tools/bin
# The pinned tools come first; the stand-in for `docker` only where there is no usable one.
DOCKER_OK := $(shell docker buildx version >/dev/null 2>&1 && docker info >/dev/null 2>&1 && echo yes)
export PATH := $(BIN):$(if $(DOCKER_OK),,$(CURDIR)/build/shim:)$(PATH)

FUZZTIME ?= 10s
# Every module of the repository; the tools have theirs apart so that the product's go.mod stays lean.
MODULES := . e2e e2e/keyless e2e/login e2e/openapi

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: tools
tools: ## Build the pinned release tools into .tools/bin (about 5 minutes once; then nothing)
	@build/tools.sh

.PHONY: hooks
hooks: ## Build what .goreleaser.yaml calls: its tools and the tallyman command
	@build/tools.sh goreleaser cosign syft buildx govulncheck
	@go build -trimpath -buildvcs=false -o $(BIN)/tallyman ./cmd/tallyman

.PHONY: build
build: ## Build web, worker and tallyman for this machine into .tools/bin
	@CGO_ENABLED=0 go build -trimpath -tags=nopgxregisterdefaulttypes,grpcnotrace -ldflags='-s -w' -o $(BIN)/ ./cmd/...

.PHONY: test
test: ## Run every test that needs no service, and those that this machine has one for; lists what it skipped
	@build/test.sh

.PHONY: race
race: ## The same under the race detector
	@build/test.sh -race

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME (10s)
	@build/fuzz.sh $(FUZZTIME)

.PHONY: lint
lint: ## gofumpt, golangci-lint, actionlint, goreleaser check, generated files up to date
	@build/tools.sh golangci-lint actionlint goreleaser templ
	@for m in $(MODULES); do (cd $$m && $(BIN)/golangci-lint run --config $(CURDIR)/.golangci.yaml ./...) || exit 1; done
	@$(BIN)/actionlint
	@$(BIN)/goreleaser check --quiet
	@build/lint.sh

.PHONY: fmt
fmt: ## Format the Go code
	@build/tools.sh golangci-lint
	@for m in $(MODULES); do (cd $$m && $(BIN)/golangci-lint fmt --config $(CURDIR)/.golangci.yaml ./...) || exit 1; done

.PHONY: generate
generate: ## Write the Go code of the console's pages (internal/console/*.templ)
	@build/tools.sh templ
	@templ fmt internal/console
	@templ generate -path internal/console

.PHONY: docs
docs: ## Write the generated documentation (docs/configuration.md, docs/openapi.json)
	@go test ./internal/config -run "Documentation|Schema" -update -count=1
	@go test ./internal/api -run OpenAPIDocument -update -count=1

.PHONY: vuln
vuln: ## Known vulnerabilities in the code (govulncheck) and in every go.mod (OSV); needs the network
	@build/tools.sh govulncheck osv-scanner
	@$(BIN)/govulncheck ./...
	@$(BIN)/osv-scanner scan source -L go.mod -L e2e/go.mod -L e2e/keyless/go.mod -L e2e/login/go.mod -L e2e/openapi/go.mod -L tools/go.mod -L tools/lint/go.mod -L tools/actionlint/go.mod -L tools/templ/go.mod

.PHONY: pins
pins: ## Every pinned image and action still resolves, and equal things are pinned equally; needs the network
	@build/tools.sh crane
	@build/pins.sh

.PHONY: snapshot
snapshot: hooks ## Build what the release at this commit would publish, and print its digests; publishes nothing
	@cd e2e && go run ./cmd/workbench goreleaser release --snapshot --clean

.PHONY: release
release: hooks ## Release the tag that is checked out (docs/release.md tells what to set)
	@goreleaser release --clean

.PHONY: verify-release
verify-release: hooks ## Verify a published release from outside: make verify-release TAG=v1.2.3 TALLYMAN_REGISTRY=…
	@test -n "$$TAG" || { echo "verify-release: set TAG, as in TAG=v1.2.3" >&2; exit 2; }
	@images=$$($(BIN)/tallyman release images) && for i in $$images; do $(BIN)/tallyman release verify "$$i:$$TAG" || exit; done

# The ecosystems of what the images have: Go modules, and the base image's Debian packages.
ECOSYSTEMS ?= Go,Debian

.PHONY: advisories
advisories: ## Fetch the advisories that the gate and rescan count with (TALLYMAN_DB, or the user's cache); needs the network
	@go build -trimpath -buildvcs=false -o $(BIN)/tallyman ./cmd/tallyman
	@$(BIN)/tallyman db update --ecosystem $(ECOSYSTEMS)

.PHONY: rescan
rescan: ## Judge the last releases again with the advisories of now, from their papers alone (build/rescan.sh tells what to set)
	@go build -trimpath -buildvcs=false -o $(BIN)/tallyman ./cmd/tallyman
	@TALLYMAN=$(BIN)/tallyman build/rescan.sh

.PHONY: demo
demo: tools ## Release two versions into a registry on loopback, start worker and web, show both
	@cd e2e && go run ./cmd/demo

.PHONY: e2e
e2e: tools ## The pipeline end to end, on loopback; prints each acceptance line with its figures
	@cd e2e && go test -count=1 -timeout 60m -v ./pipeline
	@cd e2e && go test -count=1 -timeout 20m -v ./worker
	@cd e2e && TALLYMAN_TOOLS=$(BIN) go test -count=1 -timeout 10m -v ./auditor
	@cd e2e && go test -count=1 -timeout 10m -v ./offline
	@cd e2e && go test -count=1 -timeout 10m -v -run 'Restart|Measured' ./webload

# Where pictures of the console go.
TALLYMAN_SHOTS ?= $(CURDIR)/.e2e/shots

.PHONY: browser
browser: tools ## Drive the console in Chromium on what the demo makes; pictures go to TALLYMAN_SHOTS
	@cd e2e && TALLYMAN_SHOTS=$(TALLYMAN_SHOTS) go test -count=1 -timeout 40m -v ./browser

# The pages of which docs/images has pictures: see e2e/browser/pictures_test.go.
.PHONY: pictures
pictures: tools ## Write the README's pictures (docs/images) anew, from what make browser sees
	@cd e2e && TALLYMAN_PICTURES=$(CURDIR)/docs/images TALLYMAN_SHOTS=$(TALLYMAN_SHOTS) go test -count=1 -timeout 40m -v \
		-run '^TestConsole$$/^(sign_in|every_page|pictures)/^(overview|component|release)$$' ./browser

.PHONY: reproduce-test
reproduce-test: tools ## A release is reproduced by another user with other tools, and other inputs are named
	@cd e2e && go test -count=1 -timeout 30m -v ./reproduce

.PHONY: keyless
keyless: ## Sign and verify keyless against Fulcio and rekor-tiles on loopback
	@build/tools.sh cosign
	@cd e2e/keyless && TALLYMAN_TOOLS=$(BIN) go test -count=1 -timeout 30m ./...

# Real advisories and SBOMs, for those who have them; nothing else needs them.
TALLYMAN_DATA ?= ../shared/data

.PHONY: accuracy
accuracy: ## Findings on real SBOMs equal their truth, case by case (data in TALLYMAN_DATA; says so without)
	@CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o $(BIN)/tallyman ./cmd/tallyman
	@cd e2e && go run ./cmd/advisories accuracy $(BIN)/tallyman $(abspath $(TALLYMAN_DATA))

.PHONY: bench
bench: ## Benchmarks on generated data (some 10 minutes), and whole processes on real data (beside osv-scanner when OSV_SCANNER names it)
	@go test -run '^$$' -bench . ./internal/policy ./internal/sbom ./internal/scan
	@$(if $(wildcard $(TALLYMAN_DATA)/cases.tsv),TALLYMAN_DATA=$(abspath $(TALLYMAN_DATA))) TALLYMAN_BENCH_LARGE=1 go test -run '^$$' -bench 'Ingest|Delta|Replay' -benchtime 3x -timeout 30m ./internal/tally
	@CGO_ENABLED=0 go build -trimpath -tags=nopgxregisterdefaulttypes,grpcnotrace -ldflags='-s -w' -o $(BIN)/ ./cmd/tallyman ./cmd/worker
	@cd e2e && go run ./cmd/advisories bench $(BIN)/tallyman $(abspath $(TALLYMAN_DATA))

.PHONY: bench-web
bench-web: ## Load web with 10,000 releases of 400 packages on SQLite and PostgreSQL (an hour), and restart it under load
	@cd e2e && go test -count=1 -timeout 120m -v ./webload

.PHONY: clean
clean: ## Remove what was built, except the tools
	@rm -rf dist rehearsal .demo .e2e
