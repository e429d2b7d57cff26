# make help says what there is.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VERSION := $(shell packaging/version)
# Equal sources make equal packages.
export SOURCE_DATE_EPOCH := $(shell git log -1 --format=%ct 2>/dev/null || date +%s)

HOST_ARCH := $(shell go env GOARCH)
ARCHES := amd64 arm64

# Tools are built by go run, once, and stay in Go's build cache. nfpm: the newest whose modules the Go module
# proxy serves.
NFPM := go run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2
LINT := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

# As many tests at once as e2e has places for machines.
E2E_FLAGS := -race -parallel 3 -tags e2e

.PHONY: help
help: ## what there is to make
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  make %-10s %s\n", $$1, $$2 }'

.PHONY: build
build: dist/linux_$(HOST_ARCH)/fnctl ## the binary, for this machine: dist/fnctl
	@ln -sf linux_$(HOST_ARCH)/fnctl dist/fnctl

# Go knows best what is up to date.
.PHONY: $(ARCHES:%=dist/linux_%/fnctl)
$(ARCHES:%=dist/linux_%/fnctl): dist/linux_%/fnctl:
	CGO_ENABLED=0 GOOS=linux GOARCH=$* go build -trimpath -buildvcs=false \
		-ldflags '-s -w -X github.com/fnctl/fnctl/cli.version=$(VERSION)' -o $@ .

$(ARCHES:%=dist/linux_%/poise): dist/linux_%/poise: packaging/poise/poise.c packaging/poise/build
	packaging/poise/build $* $@

.PHONY: completions
completions: build
	@mkdir -p dist/completions
	dist/fnctl completion bash >dist/completions/fnctl.bash
	dist/fnctl completion fish >dist/completions/fnctl.fish
	dist/fnctl completion zsh >dist/completions/_fnctl

# Manual pages, changelogs and notices.
.PHONY: doc
doc:
	go run ./packaging/doc '$(VERSION)' dist/doc

# dpkg and rpm have names of their own for architectures, and rpm has a release.
RPM_ARCH_amd64 := x86_64
RPM_ARCH_arm64 := aarch64
DEBS := $(ARCHES:%=dist/fnctl_$(VERSION)_%.deb)
RPMS := $(foreach arch,$(ARCHES),dist/fnctl-$(VERSION)-1.$(RPM_ARCH_$(arch)).rpm)

.PHONY: package deb rpm
package: $(DEBS) $(RPMS) ## the packages: .deb and .rpm in dist, for amd64 and arm64
	@rm -f $(filter-out $^,$(wildcard dist/fnctl_*.deb dist/fnctl-*.rpm))
deb: dist/fnctl_$(VERSION)_$(HOST_ARCH).deb ## only the .deb for this machine, which the tests install
	@rm -f $(filter-out $^,$(wildcard dist/fnctl_*_$(HOST_ARCH).deb))
# The second one is what the tests upgrade to.
rpm: dist/fnctl-$(VERSION)-1.$(RPM_ARCH_$(HOST_ARCH)).rpm dist/next.rpm ## only the .rpm for this machine
	@rm -f $(filter-out $^,$(wildcard dist/fnctl-*.$(RPM_ARCH_$(HOST_ARCH)).rpm))

# go run must build nfpm for this machine, so the architecture of the package has a name of its own.
define nfpm
PKG_ARCH=$(2) VERSION='$(VERSION)' $(NFPM) package --config $(3) --packager $(1) --target $@.new
@mv $@.new $@
endef
dist/fnctl_$(VERSION)_%.deb: dist/linux_%/fnctl dist/linux_%/poise completions doc
	$(call nfpm,deb,$*,nfpm.yaml)
# What nfpm does for one of them only: it marks no pattern as documentation, which RPM wants, and would write this changelog
# into the .deb, too, in a form that is not quite Debian's.
dist/nfpm-rpm.yaml: doc nfpm.yaml
	for page in dist/doc/man*/*; do \
		echo "  - {src: $$page, dst: /usr/share/man/$${page#dist/doc/}, type: doc, file_info: {mode: 0644}}"; \
	done | sed -e '/dist.doc.man/d' -e '/^contents:/r /dev/stdin' -e '$$a changelog: dist/doc/changelog.yml' nfpm.yaml >$@
dist/fnctl-$(VERSION)-1.x86_64.rpm: dist/linux_amd64/fnctl dist/linux_amd64/poise completions dist/nfpm-rpm.yaml
	$(call nfpm,rpm,amd64,dist/nfpm-rpm.yaml)
dist/fnctl-$(VERSION)-1.aarch64.rpm: dist/linux_arm64/fnctl dist/linux_arm64/poise completions dist/nfpm-rpm.yaml
	$(call nfpm,rpm,arm64,dist/nfpm-rpm.yaml)
dist/next.rpm: private VERSION := $(VERSION)+next
dist/next.rpm: dist/linux_$(HOST_ARCH)/fnctl dist/linux_$(HOST_ARCH)/poise completions dist/nfpm-rpm.yaml
	$(call nfpm,rpm,$(HOST_ARCH),dist/nfpm-rpm.yaml)

.PHONY: lint-packages
lint-packages: deps package ## lintian and rpmlint, and whether the same comes of the same sources
	lintian --allow-root --fail-on error,warning,info $(DEBS)
	rpmlint --strict --config packaging/lint/rpmlint.toml $(RPMS)
	packaging/reproduce

.PHONY: deps
deps: ## what tests, the demo and the packages need of Debian's packages, if it is missing
	@testdata/machine/deps

.PHONY: image image-bookworm image-trixie
image: ## the images of the test machines, in .cache
	@$(MAKE) --no-print-directory --jobs=2 image-bookworm image-trixie
image-bookworm image-trixie: image-%: deps
	@testdata/machine/build $* >/dev/null

SCRIPTS := .ci/run packaging/version packaging/reproduce packaging/poise/build testdata/machine/build testdata/machine/deps testdata/machine/emulate \
	e2e/machine/guard.sh $(wildcard packaging/deb/*)

.PHONY: check
check: deps ## format, vet, lint
	@unformatted=$$(gofmt -l $(wildcard *.go */)); \
		[ -z "$$unformatted" ] || { echo "not formatted by gofmt:" $$unformatted; exit 1; }
	go vet ./... ./testdata/functions/{counter,hello-go,wire,grpc} ./gateway/testdata/smuggling
	go vet -tags e2e ./e2e/...
	$(LINT) run
	shellcheck $(SCRIPTS)
	shellcheck --shell=sh packaging/rpm/*

.PHONY: unit e2e test
unit: ## tests that need no machine
	go test -race ./...
e2e: deb rpm image ## tests on real systemd
	go test $(E2E_FLAGS) -count=1 -timeout 60m ./e2e/...
test: check lint-packages deb rpm image ## everything: check, unit and end to end
	go test -race ./...
	go test $(E2E_FLAGS) -count=1 -timeout 60m ./e2e/...

.PHONY: soak
soak: deb rpm image ## what takes hours
	go test $(E2E_FLAGS),soak -count=1 -timeout 24h -run Soak ./e2e/... ./gateway
	go test $(E2E_FLAGS),soak -count=1 -timeout 1h -run ManyHosts ./certificates/acme

.PHONY: emulated
emulated: deb image-bookworm ## what takes a kernel of its own, or another processor, emulated: some minutes
	@testdata/machine/deps emulated
	go test -tags e2e,emulated -count=1 -timeout 45m -run 'TestLimits|TestStandbyUnderPressure' ./e2e
	go test -count=1 ./packaging/poise

.PHONY: demo
demo: deb image-bookworm ## deploys the sample functions on a disposable machine and shows what happens
	@go run -tags e2e ./e2e/demo

.PHONY: bench
bench: deb image-bookworm ## fnctl against its peers
	@go run -tags e2e ./e2e/bench

.PHONY: structure
structure: ## figures of the structure of the code: files, functions, wide types, arrows that run back up
	@go run ./packaging/structure

.PHONY: clean
clean: ## removes what make has made
	rm -rf dist .cache
