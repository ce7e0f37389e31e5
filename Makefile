VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
# Leaves out the HTTP/2 of net/http, which nothing here speaks.
TAGS     := nethttpomithttp2
SERVERS  := go run ./test/cmd/servers
FUZZTIME ?= 10s
# The share of statements in registry/ that its tests must run, in percent.
COVER    ?= 85

.DEFAULT_GOAL := help

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build docker-gitea and docker-credential-gitea into bin/
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -tags "$(TAGS)" -ldflags "-s -w -X main.version=$(VERSION)" -o bin/ ./cmd/...

.PHONY: test
test: build servers ## run every test: units and scripts with -race, then against real servers
	go test -race ./...
	go test -tags e2e -count 1 -timeout 20m ./test/...

.PHONY: test-faults
test-faults: servers ## cut pushes at 200 positions for each kind of source, and print what became of them
	go test -tags e2e -count 1 -v -run '^TestFaults' ./test/

.PHONY: test-unit
test-unit: ## run the tests that need no servers, quickly
	go test ./...

.PHONY: lint
lint: ## check style and formatting
	$$($(SERVERS) path golangci-lint) run --build-tags e2e ./...

.PHONY: generate
generate: ## write generated code, schemas and tables again
	$$($(SERVERS) path controller-gen) object crd paths=./registry/v1alpha1 \
		output:object:dir=registry/v1alpha1 output:crd:dir=registry/v1alpha1/crd
	go test ./registry/v1alpha1 -run TestSchemas -update
	go test ./plugin -run TestOptionsAreDocumented -update

.PHONY: cover
cover: ## print how much of registry/ its tests cover; fail below COVER percent
	go test -coverprofile=coverage.out -coverpkg=./registry/... ./registry/...
	@go tool cover -func=coverage.out
	@go tool cover -func=coverage.out | awk -v least=$(COVER) \
		'/^total:/ {share = $$3 + 0} END {printf "registry: %.1f%%, at least %d%%\n", share, least; exit share < least}'

.PHONY: fuzz
fuzz: ## fuzz every parser for FUZZTIME
	@set -e; for package in $$(go list ./...); do \
		names=$$(go test -list '^Fuzz' $$package); \
		for target in $$(echo "$$names" | grep '^Fuzz' || true); do \
			go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

.PHONY: bench
bench: servers ## compare with other programs that push; writes docs/performance.md
	go run ./test/cmd/bench -o docs/performance.md

.PHONY: demo
demo: build ## show a push with a scripted registry; GITEA=1 takes a real Gitea
	go run ./test/cmd/demo $(if $(GITEA),-gitea)

.PHONY: servers
servers: ## install and build the servers that the tests use, unless that is done
	$(SERVERS) build

.PHONY: clean
clean: ## remove what the other targets make, but not the servers
	rm -rf bin dist coverage*
