# Everything runs from a fresh clone: Go, a C compiler, npm and pip are needed,
# the rest is installed by version and hash.

SHELL         := /bin/bash
.SHELLFLAGS   := -eu -o pipefail -c
GO            ?= go
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
# What is pure Go, and so builds for every system: all but two packages.
PURE           = $(shell $(GO) list -f '{{if .GoFiles}}{{.ImportPath}}{{end}}' ./... | grep -v -e /engine/onnx -e /cmd/ipfs-accelerate-native)

# What is released: make release VERSION=0.1.0. Without it, the version of the sources.
PACKAGING      = $(GO) run ./cmd/ipfs-accelerate/packaging $(if $(VERSION),--version $(VERSION))

.PHONY: build demo test conformance bench stress lint pure fuzz release mcpb clean

build: ## the three binaries, in bin/
	CGO_ENABLED=0 $(GO) build -o bin/ipfs-accelerate ./cmd/ipfs-accelerate
	CGO_ENABLED=0 $(GO) build -o bin/ipfs-accelerate-p2p ./cmd/ipfs-accelerate-p2p
	$(GO) build -o bin/ipfs-accelerate-native ./cmd/ipfs-accelerate-native

demo: build ## the main job on real input, in words
	$(GO) run ./examples/demo

test: pure lint build ## everything that must hold, cheapest first
	$(GO) vet ./...
	sh .ci/packages
	$(GO) test -race -shuffle=on -timeout 20m ./...
	$(MAKE) fuzz
	home=$$(mktemp -d) && IPFS_ACCELERATE_HOME=$$home $(MAKE) demo && rm -rf $$home

conformance: ## the protocol's own suite, per era: ERA: N passed, N failed, and what failed
	CI=true $(GO) test -count 1 -timeout 10m -v -run TestConformance ./cmd/internal/conformance | grep -E "^(20|FAIL|ok|panic| +npm)"

pure: ## the modules are tidy, and all but two packages need no C, on every system
	$(GO) mod tidy -diff
	for os in linux darwin windows; do CGO_ENABLED=0 GOOS=$$os $(GO) build -o /dev/null $(PURE) || exit 1; done
	for os in darwin windows; do CGO_ENABLED=0 GOOS=$$os $(GO) vet $(PURE) || exit 1; done

lint: ## formatting, mistakes, and the rooms' import rule
	$(GO) run $(GOLANGCI_LINT) run ./...

fuzz: ## each fuzz target a few ten thousand times
	sh .ci/fuzz 20000x

bench: build ## ratios measured side by side: ID value unit goal ok|short|absent:REASON
	$(GO) test -tags figures -count 1 -v -p 1 -run TestFigures ./cmd/ipfs-accelerate-native ./mcpserver ./engine/tasks/tokenizer ./ipfsstore ./ipfsstore/p2p | grep -v -E "^ *(=== |--- PASS|PASS|ok)"

stress: build ## the repeated tests at their full counts: name count failed
	sh .ci/stress

release: ## archives, checksums and lists of parts for every platform, in bin/release
	$(PACKAGING) release

mcpb: ## the MCP bundle of this platform, in bin
	$(PACKAGING) mcpb

clean:
	rm -rf bin demo stress.log
