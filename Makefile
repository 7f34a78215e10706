# `make` lists all targets. Rust and a C compiler are required; everything else is downloaded from package registries to
# target/ and a cache folder.

CACHE  := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/telewarden
# Cargo's folder for native builds. The module has a separate folder, so that the builds do not wait for each other's lock.
TARGET := $(or $(CARGO_TARGET_DIR),target)
WASM   := target/wasm-build

CARGO_DENY := 0.20.2
CARGO_FUZZ := 0.13.2

# With folders, because a deleted file is a change too.
POLICY := Cargo.toml Cargo.lock policy/Cargo.toml $(wildcard policy/build.rs) $(shell find policy/src)

.DELETE_ON_ERROR:
.PHONY: help demo publish playground site chart packages packages-test workflows test e2e e2e-nightly e2e-cluster cluster cluster-down bench fuzz deny advisories cargo-deny fmt clean rust

help: ## List all targets
	@awk -F ':.*## ' '/^[a-z0-9.-]+:.*## / { printf "  %-22s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Without registries, which no example needs, and without optimization, because it builds sooner.
demo: policy.wasm ## Build the module and the command, then render examples/argocd.yaml
	cargo build --locked -p telewarden --no-default-features --features command
	$(TARGET)/debug/telewarden render examples/argocd.yaml
	@printf '%s\n' '' \
		'These objects are what examples/argocd.yaml, an annotated Application, becomes: the configuration of a Telegraf, and its' \
		'Deployment. Next:' '' \
		'  $(TARGET)/debug/telewarden explain examples/argocd.yaml         the same in a few lines' \
		'  $(TARGET)/debug/telewarden validate e2e/mistakes/endpoints      what mistakes look like' \
		'  make playground                                    the same in a browser, as you type' \
		'  cargo install --locked --path host-runner          the command, optimized' \
		'  docs/quick-start.md                                in a cluster, up to the metric in the database' >&2

# The old module is removed first, so that it is not used if the build fails.
policy.wasm: $(POLICY) $(wildcard scripts/*) | rust ## Build the WebAssembly module
	@rm -f $@
	scripts/wasm-cargo build --locked -p telewarden-policy --lib --profile wasm --target-dir $(WASM)
	scripts/wasm-opt $(WASM)/wasm32-unknown-unknown/wasm/telewarden_policy.wasm $@

# Both tools write the same metadata, but kwctl also adds its version.
ANNOTATE := $(if $(shell command -v kwctl),kwctl,$(TARGET)/release/telewarden) annotate

annotated-policy.wasm: ## Build the module with Kubewarden metadata
annotated-render.wasm: ## Build the module with metadata for raw requests, which it renders
annotated-policy.wasm: METADATA := metadata.yml
annotated-render.wasm: METADATA := metadata-render.yml
annotated-policy.wasm annotated-render.wasm: policy.wasm metadata.yml metadata-render.yml docs/kubewarden.md
	@command -v kwctl >/dev/null || cargo build --release --locked -p telewarden
	$(ANNOTATE) -m $(METADATA) -u docs/kubewarden.md -o $@ policy.wasm

# PUBLISH=registry://HOST/PATH; both artifacts are pushed below it with this version, by kwctl if available.
PUBLISH := registry://ghcr.io/telewarden/policies
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n1)
PUSH     = $(if $(shell command -v kwctl),kwctl,$(TARGET)/release/telewarden) push

publish: annotated-policy.wasm annotated-render.wasm ## Push both annotated modules to PUBLISH
	@$(PUSH) annotated-policy.wasm $(PUBLISH)/telewarden:v$(VERSION)
	@$(PUSH) annotated-render.wasm $(PUBLISH)/telewarden-render:v$(VERSION)

# Browsers download the module compressed, and these passes reduce that size: fewer instructions, and no alignment hints.
# -Oz would reorder the functions, which makes the module harder to compress.
PAGE_PASSES := --ignore-implicit-traps --low-memory-unused -O1 --dealign --dae-optimizing --merge-similar-functions -O1 --rse -O1
playground: | rust ## Build the npm package and the page, in playground/dist
	@command -v npm >/dev/null || { echo "npm not found: install Node 20 or later (Debian: 'apt-get install npm')" >&2; exit 1; }
	scripts/wasm-cargo build --locked -p telewarden-playground --lib --profile wasm --target-dir $(WASM)
	scripts/wasm-opt $(WASM)/wasm32-unknown-unknown/wasm/telewarden_playground.wasm $(WASM)/telewarden_playground.wasm $(PAGE_PASSES)
	cargo run --locked -p telewarden-playground --features bindgen --bin bindgen -- \
		$(WASM)/telewarden_playground.wasm playground/dist/npm
	cp playground/npm/* playground/dist/npm
	sed -i.old 's/"version": ".*"/"version": "$(VERSION)"/' playground/dist/npm/package.json && rm playground/dist/npm/package.json.old
	cd playground && npm ci --no-audit --no-fund && npm run build

MDBOOK := 0.4.52
# With the playground, if it was built.
site: | rust ## Build the site from docs/ and follow all of its links, in target/site/html
	@test -x $(CACHE)/mdbook-$(MDBOOK)/bin/mdbook || cargo install --locked mdbook --version $(MDBOOK) \
		--no-default-features --features search --root $(CACHE)/mdbook-$(MDBOOK)
	site/build $(CACHE)/mdbook-$(MDBOOK)/bin/mdbook target/site $(wildcard playground/dist/page)

# Packages of the command. PROFILE=dev builds sooner. Another platform has a name of Rust's and one of Node's:
#     make packages TARGET_TRIPLE=aarch64-unknown-linux-musl NPM_PLATFORM=linux-arm64
DIST   := dist
TARGET_OF_RUST := $(or $(TARGET_TRIPLE),$(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p'))
NPM    := $(or $(NPM_PLATFORM),$(shell node -p 'process.platform + "-" + process.arch' 2>/dev/null))

packages: policy.wasm ## Pack the command as archive, wheel and npm package, in dist/; static ones for Linux with the operator
	packaging/command $(TARGET_OF_RUST) $(NPM) $(DIST)

packages-test: packages ## Install the packages as users would, in folders of their own, and run what is installed
	packaging/test $(DIST)

HELM = $(or $(shell command -v helm),$(shell e2e/provision helm | sed 's/^helm=//'))
chart: ## Pack the chart, in dist/
	@mkdir -p $(DIST)
	$(HELM) package --destination $(DIST) deploy/chart/telewarden-operator

ACTIONLINT := 1.7.7
ZIZMOR     := 1.32.0
workflows: ## Check the workflows of GitHub: their syntax, and what in them would be unsafe (needs Go and Python)
	@test -x $(CACHE)/actionlint-$(ACTIONLINT)/actionlint || \
		GOBIN=$(CACHE)/actionlint-$(ACTIONLINT) go install github.com/rhysd/actionlint/cmd/actionlint@v$(ACTIONLINT)
	@test -x $(CACHE)/zizmor-$(ZIZMOR)/bin/zizmor || { python3 -m venv $(CACHE)/zizmor-$(ZIZMOR) && \
		$(CACHE)/zizmor-$(ZIZMOR)/bin/pip install --quiet --disable-pip-version-check zizmor==$(ZIZMOR); }
	$(CACHE)/actionlint-$(ACTIONLINT)/actionlint
	$(CACHE)/zizmor-$(ZIZMOR)/bin/zizmor --offline --quiet .github action.yml

test: policy.wasm ## Check formatting, lints, links of the documentation and workflows, and run all tests except the end-to-end tests
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	@# With the examples, as Clippy has just checked them: otherwise features differ, and 71 dependencies are checked again.
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --locked --lib --examples
	cargo test --locked
	@if command -v go >/dev/null && command -v python3 >/dev/null; then $(MAKE) --no-print-directory workflows; \
		else echo 'make test: the workflows of GitHub are not checked, because that needs Go and Python' >&2; fi

e2e: policy.wasm ## Run the end-to-end tests; see e2e/README.md
	@test -x e2e/run || { echo 'make e2e: there is no e2e/run' >&2; exit 1; }
	e2e/run

e2e-nightly: policy.wasm ## The same, with the tests that take longest
	TELEWARDEN_E2E_SLOW=yes e2e/run

e2e-cluster: policy.wasm ## Test on a node with pods that run, beside a real Argo CD (needs root); see e2e/README.md
	e2e/cluster/test

cluster: ## Run a Kubernetes with one node, until Ctrl-C or `make cluster-down` (needs root)
	@e2e/cluster/up

cluster-down: ## End it, and remove what it leaves
	@e2e/cluster/down

bench: policy.wasm ## Run the benchmarks; `make bench-instructions` and so on run one of them, see bench/run
	bench/run

bench-%: policy.wasm
	bench/run $*

# FUZZ_SECONDS for each target. Sanitizers are not used: they need a nightly compiler and find errors that safe Rust excludes.
FUZZ_SECONDS := 60
FUZZ_TARGETS := $(basename $(notdir $(wildcard policy/fuzz/targets/*.rs)))
fuzz: export PATH := $(PATH):$(CACHE)/cargo-fuzz-$(CARGO_FUZZ)/bin
fuzz: | rust ## Run the fuzz tests, FUZZ_SECONDS each; see policy/fuzz/
	@command -v cargo-fuzz >/dev/null || \
		cargo install --locked cargo-fuzz --version $(CARGO_FUZZ) --root $(CACHE)/cargo-fuzz-$(CARGO_FUZZ)
	@set -e; cd policy; for target in $(FUZZ_TARGETS); do \
		mkdir -p ../target/fuzz/corpus/$$target; \
		cargo fuzz run --sanitizer none --target-dir ../target/fuzz $$target \
			../target/fuzz/corpus/$$target fuzz/seeds/$$target -- -max_total_time=$(FUZZ_SECONDS) -max_len=8192 -timeout=10; \
	done

deny advisories cargo-deny: export PATH := $(PATH):$(CACHE)/cargo-deny-$(CARGO_DENY)/bin
cargo-deny: | rust
	@command -v cargo-deny >/dev/null || \
		cargo install --locked cargo-deny --version $(CARGO_DENY) --root $(CACHE)/cargo-deny-$(CARGO_DENY)

deny: cargo-deny ## Check licences and sources of dependencies, and that none is there in a second version
	cargo deny --locked --all-features check bans licenses sources

advisories: cargo-deny ## Check dependencies for known vulnerabilities (downloads the database)
	cargo deny --locked --all-features check advisories

fmt: | rust ## Format the code
	cargo fmt --all

clean: ## Remove everything that was built, except the cache folder
	rm -rf target playground/dist playground/node_modules policy.wasm annotated-policy.wasm annotated-render.wasm

# A clear message instead of the error of the first command.
rust:
	@command -v cargo >/dev/null || { echo 'cargo not found: install Rust from https://rustup.rs' >&2; exit 1; }
	@command -v cc >/dev/null || { echo "cc not found: install a C compiler (Debian: 'apt-get install gcc libc6-dev')" >&2; exit 1; }
