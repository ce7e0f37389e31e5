VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
# Leaves out the HTTP/2 of net/http, which nothing here speaks.
TAGS     := nethttpomithttp2
SERVERS  := go run ./test/cmd/servers
FUZZTIME ?= 10s
GOVULNCHECK := v1.9.0
BENCHSTAT := v0.0.0-20260908200009-22c9c6c9d4da
# The share of statements in registry/ that its tests must run, in percent.
COVER    ?= 85

# Where install puts things: for everybody as root or with PREFIX, for this
# user otherwise. DESTDIR goes before all of it, for packagers.
SYSTEM := $(or $(PREFIX),$(filter 0,$(shell id -u)))
ifneq ($(SYSTEM),)
PREFIX    ?= /usr/local
PLUGINDIR ?= $(PREFIX)/libexec/docker/cli-plugins
BINDIR    ?= $(PREFIX)/bin
SHAREDIR  ?= $(PREFIX)/share
else
PLUGINDIR ?= $(or $(DOCKER_CONFIG),$(HOME)/.docker)/cli-plugins
BINDIR    ?= $(HOME)/.local/bin
SHAREDIR  ?= $(or $(XDG_DATA_HOME),$(HOME)/.local/share)
endif

.DEFAULT_GOAL := help

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build docker-gitea and docker-credential-gitea into bin/
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -tags "$(TAGS)" -ldflags "-s -w -X main.version=$(VERSION)" -o bin/ ./cmd/...

.PHONY: share
share: ## write manual pages and completions into bin/share
	@rm -rf bin/share
	go run ./test/cmd/dist -version "$(VERSION)" share bin/share

# Under sudo nothing is built: root may have no Go, and should not need it.
.PHONY: install
install: $(if $(SUDO_UID),,build share) ## install for this user; as root or with PREFIX for everybody; DESTDIR
	@test -x bin/docker-gitea && test -d bin/share || { echo "run \`make build share\` first"; exit 1; }
	install -d "$(DESTDIR)$(PLUGINDIR)" "$(DESTDIR)$(BINDIR)"
	install bin/docker-gitea "$(DESTDIR)$(PLUGINDIR)/docker-gitea"
	ln -sf "$(PLUGINDIR)/docker-gitea" "$(DESTDIR)$(BINDIR)/docker-gitea"
	ln -sf "$(PLUGINDIR)/docker-gitea" "$(DESTDIR)$(BINDIR)/docker-gitea-push"
	install bin/docker-credential-gitea "$(DESTDIR)$(BINDIR)/docker-credential-gitea"
	@cd bin/share && find . -type f ! -path './powershell/*' | while read -r file; do \
		install -d "$(DESTDIR)$(SHAREDIR)/$${file%/*}" && install -m 644 "$$file" "$(DESTDIR)$(SHAREDIR)/$$file" || exit 1; \
	done
	@case "$(PLUGINDIR)" in \
		"$(or $(DOCKER_CONFIG),$(HOME)/.docker)"/*|/usr/lib/*|/usr/libexec/*|/usr/local/lib/*|/usr/local/libexec/*) ;; \
		*) echo "docker does not look for plugins in $(PLUGINDIR); \`$(BINDIR)/docker-gitea setup\` links it" ;; esac
	@case ":$$PATH:" in *":$(BINDIR):"*) ;; *) echo "$(BINDIR) is not on PATH; docker looks for docker-credential-gitea there" ;; esac

.PHONY: uninstall
uninstall: ## remove what install installed, with the same variables
	rm -f "$(DESTDIR)$(PLUGINDIR)/docker-gitea" "$(DESTDIR)$(BINDIR)/docker-gitea" \
		"$(DESTDIR)$(BINDIR)/docker-gitea-push" "$(DESTDIR)$(BINDIR)/docker-credential-gitea"
	@for name in docker-gitea docker-credential-gitea; do \
		rm -f "$(DESTDIR)$(SHAREDIR)"/man/man1/$$name.1 "$(DESTDIR)$(SHAREDIR)"/man/man1/$$name-*.1 \
			"$(DESTDIR)$(SHAREDIR)"/bash-completion/completions/$$name \
			"$(DESTDIR)$(SHAREDIR)"/zsh/site-functions/_$$name \
			"$(DESTDIR)$(SHAREDIR)"/fish/vendor_completions.d/$$name.fish; \
	done

.PHONY: dist
dist: ## make archives and packages for every platform, or PLATFORMS="linux/amd64 …", in dist/; MAINTAINER
	$(SERVERS) build nfpm cyclonedx-gomod
	go run ./test/cmd/dist -version "$(VERSION)" $(if $(MAINTAINER),-maintainer "$(MAINTAINER)") $(PLATFORMS)

# For a job that runs for a tag, such as .gitea/workflows/release.yml.
.PHONY: release
release: dist ## make dist, and publish it as the release of the tag: RELEASE_TOKEN, RELEASE_KEY
	go run ./test/cmd/dist -version "$(VERSION)" publish

.PHONY: test
test: build servers ## run every test: units and scripts with -race, benchmarks once, then against real servers
	go test -race -timeout 60m ./...
	go test -run '^$$' -bench . -benchtime 1x ./registry/...
	go test -count 1 -timeout 30m ./test/model -histories 10000
	go -C docs/examples/controller test ./...
	go test -tags e2e -count 1 -timeout 45m ./test/...

.PHONY: test-faults
test-faults: servers ## break pushes at 200 positions for each kind of source, and 300 histories; UPDATE=1 writes docs/reliability.md
	go test -tags e2e -count 1 -v -timeout 60m -parallel 6 -run '^TestFaults$$' ./test/faults -positions 100 $(if $(UPDATE),-update)
	go test -tags e2e -count 1 -v -timeout 90m -run 'Histories$$' ./test/model -histories 10000 -real 300 $(if $(UPDATE),-update)

# Everything that a clean checkout need not show each time. Not in .ci/run.
.PHONY: test-wide
test-wide: servers ## run what is for breadth alone: sites, proxies, builders, other programs and systems; UPDATE=1 writes docs/compatibility.md
	$(SERVERS) build wide
	WIDE=1 go test -tags e2e -count 1 -v -timeout 150m -run '^TestWide|^TestPullersTrust$$|^TestAction$$' ./test $(if $(UPDATE),-compatibility)

.PHONY: test-unit
test-unit: ## run the tests that need no servers, quickly
	go test ./...

.PHONY: lint
lint: ## check style and formatting, that everything is right for other systems too, and for known vulnerabilities
	$$($(SERVERS) path golangci-lint) run --build-tags e2e ./...
	GOOS=darwin go vet ./...
	GOOS=windows go vet ./...
	@if curl -fsS -o /dev/null --max-time 20 https://vuln.go.dev/index/db.json; then \
		go run golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK) -tags "$(TAGS)" ./...; \
	else echo "govulncheck has not run: its database, vuln.go.dev, cannot be reached"; fi

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

# Before 1.27, Go may call it a failure that FUZZTIME has ended
# (golang/go#75804). A real one writes the input that causes it.
.PHONY: fuzz
fuzz: ## fuzz every parser for FUZZTIME
	@set -e; log=$$(mktemp); trap 'rm -f "$$log"' EXIT; for package in $$(go list ./...); do \
		names=$$(go test -list '^Fuzz' $$package); \
		for target in $$(echo "$$names" | grep '^Fuzz' || true); do \
			{ go test -run '^$$' -fuzz "^$$target$$" -fuzzminimizetime 20x -fuzztime $(FUZZTIME) $$package 2>&1 || echo "failed: $$target"; } | tee "$$log"; \
			if grep -q "^failed: " "$$log"; then \
				grep -qx '    context deadline exceeded' "$$log" && ! grep -qE 'Failing input|panic: |hung or terminated' "$$log"; \
			fi; \
		done; \
	done

.PHONY: bench
bench: servers ## compare with other programs that push; writes docs/performance.md
	go run ./test/cmd/bench -o docs/performance.md

CLIENT := registry/remote/testdata/bench.txt
.PHONY: bench-client
bench-client: ## measure the client alone, and compare with what is kept of it; UPDATE=1 keeps this run
	@mkdir -p bin
	go test -run '^$$' -bench '^BenchmarkPush$$' -count 10 ./registry/remote > bin/bench.txt
	go run golang.org/x/perf/cmd/benchstat@$(BENCHSTAT) $(CLIENT) bin/bench.txt
	$(if $(UPDATE),cp bin/bench.txt $(CLIENT))

.PHONY: demo
demo: build ## show a push with a scripted registry; GITEA=1 takes a real Gitea
	go run ./test/cmd/demo $(if $(GITEA),-gitea)

.PHONY: servers
servers: ## install and build the servers that the tests use, unless that is done
	$(SERVERS) build

.PHONY: clean
clean: ## remove what the other targets make, but not the servers
	rm -rf bin dist coverage*
