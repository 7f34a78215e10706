# `make` lists what there is to make. Rust and a C compiler's linker are what has to be there; the rest is fetched from
# package registries, into target/ and a cache folder.

CACHE  := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/telewarden
# Where cargo puts what runs on this machine. The module has a folder of its own, so that the two don't wait for each
# other's lock.
TARGET := $(or $(CARGO_TARGET_DIR),target)
WASM   := target/wasm-build

CARGO_DENY := 0.20.2
CARGO_FUZZ := 0.13.2

# Folders too: a file that went away is a change.
POLICY := Cargo.toml Cargo.lock policy/Cargo.toml $(wildcard policy/build.rs) $(shell find policy/src)

.DELETE_ON_ERROR:
.PHONY: help demo publish playground test e2e bench fuzz deny advisories cargo-deny fmt clean rust

help: ## List what there is to make
	@awk -F ':.*## ' '/^[a-z0-9.-]+:.*## / { printf "  %-22s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Without what no example needs, for it builds sooner.
demo: policy.wasm ## Build everything, then render examples/argocd.yaml
	cargo build --release --locked -p telewarden --no-default-features --features cli
	$(TARGET)/release/telewarden render examples/argocd.yaml

# A module that could not be built anew is removed: an old one would be taken for it.
policy.wasm: $(POLICY) $(wildcard scripts/*) | rust ## The policy, as one WebAssembly module
	@rm -f $@
	scripts/wasm-cargo build --locked -p telewarden-policy --lib --profile wasm --target-dir $(WASM)
	scripts/wasm-opt $(WASM)/wasm32-unknown-unknown/wasm/telewarden_policy.wasm $@

# The same metadata either way; kwctl, where it is, also writes down its own version.
ANNOTATE := $(if $(shell command -v kwctl),kwctl,$(TARGET)/release/telewarden) annotate

annotated-policy.wasm: ## The module with what Kubewarden reads of it
annotated-render.wasm: ## The same for raw requests, which renders
annotated-policy.wasm: METADATA := metadata.yml
annotated-render.wasm: METADATA := metadata-render.yml
annotated-policy.wasm annotated-render.wasm: policy.wasm metadata.yml metadata-render.yml docs/kubewarden.md
	@command -v kwctl >/dev/null || cargo build --release --locked -p telewarden
	$(ANNOTATE) -m $(METADATA) -u docs/kubewarden.md -o $@ policy.wasm

# PUBLISH=registry://HOST/PATH; the two artifacts go below it, under this version. kwctl, or else telewarden, pushes.
PUBLISH := registry://ghcr.io/telewarden/policies
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n1)
PUSH     = $(if $(shell command -v kwctl),kwctl,$(TARGET)/release/telewarden) push

publish: annotated-policy.wasm annotated-render.wasm ## Push both artifacts to PUBLISH, and print where they are
	@$(PUSH) annotated-policy.wasm $(PUBLISH)/telewarden:v$(VERSION)
	@$(PUSH) annotated-render.wasm $(PUBLISH)/telewarden-render:v$(VERSION)

# A browser gets the module compressed, and these passes make that smaller: fewer instructions, and no hints about alignment.
# The usual ones (-Oz) sort the functions, so that similar ones are no longer neighbours, and the compressed module grows.
PAGE_PASSES := -O1 --dealign --dae-optimizing -O1 --rse -O1
playground: | rust ## The core for JavaScript, and the page on it: playground/dist/npm and playground/dist/page
	@command -v npm >/dev/null || { echo "npm is not here: install Node 20 or later (Debian: 'apt-get install npm')" >&2; exit 1; }
	scripts/wasm-cargo build --locked -p telewarden-playground --lib --profile wasm --target-dir $(WASM)
	scripts/wasm-opt $(WASM)/wasm32-unknown-unknown/wasm/telewarden_playground.wasm $(WASM)/telewarden_playground.wasm $(PAGE_PASSES)
	cargo run --locked -p telewarden-playground --features bindgen --bin bindgen -- \
		$(WASM)/telewarden_playground.wasm playground/dist/npm
	cp playground/npm/* playground/dist/npm
	sed -i.old 's/"version": ".*"/"version": "$(VERSION)"/' playground/dist/npm/package.json && rm playground/dist/npm/package.json.old
	cd playground && npm ci --no-audit --no-fund && npm run build

test: policy.wasm ## Formatting, lints and every test but the end-to-end ones
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo test --locked

e2e: policy.wasm ## Test against the real things: see e2e/
	@test -x e2e/run || { echo 'make e2e: there is no e2e/run' >&2; exit 1; }
	e2e/run

bench: policy.wasm ## Measure: see bench/
	@test -x bench/run || { echo 'make bench: there is no bench/run' >&2; exit 1; }
	bench/run

# FUZZ_SECONDS for each target. No sanitizer: they look for what safe Rust cannot do wrong, and need a nightly compiler.
FUZZ_SECONDS := 60
FUZZ_TARGETS := $(basename $(notdir $(wildcard policy/fuzz/targets/*.rs)))
fuzz: export PATH := $(PATH):$(CACHE)/cargo-fuzz-$(CARGO_FUZZ)/bin
fuzz: | rust ## Throw generated text at all that reads some: see policy/fuzz/
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

deny: cargo-deny ## Check the licences and sources of dependencies
	cargo deny --locked --all-features check bans licenses sources

advisories: cargo-deny ## Check dependencies for known vulnerabilities; fetches the database of them
	cargo deny --locked --all-features check advisories

fmt: | rust ## Format the code
	cargo fmt --all

clean: ## Remove what was built; the cache folder stays
	rm -rf target playground/dist playground/node_modules policy.wasm annotated-policy.wasm annotated-render.wasm

# Said here in a sentence, rather than by the first command that fails.
rust:
	@command -v cargo >/dev/null || { echo 'cargo is not here: install Rust from https://rustup.rs' >&2; exit 1; }
	@command -v cc >/dev/null || { echo "cc is not here: install a C compiler (Debian: 'apt-get install gcc libc6-dev')" >&2; exit 1; }
