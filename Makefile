# `make` lists what there is to make. Rust and a C compiler's linker are what has to be there; the rest is fetched from
# package registries, into target/ and a cache folder.

CACHE  := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/telewarden
# Where cargo puts what runs on this machine. The module has a folder of its own, so that the two don't wait for each
# other's lock.
TARGET := $(or $(CARGO_TARGET_DIR),target)
WASM   := target/wasm-build

CARGO_DENY := 0.20.2

# Folders too: a file that went away is a change.
POLICY := Cargo.toml Cargo.lock policy/Cargo.toml $(wildcard policy/build.rs) $(shell find policy/src)

.DELETE_ON_ERROR:
.PHONY: help demo test e2e bench deny fmt clean rust

help: ## List what there is to make
	@awk -F ':.*## ' '/^[a-z0-9.-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: policy.wasm ## Build everything, then render examples/argocd.yaml
	cargo build --release --locked -p telewarden
	$(TARGET)/release/telewarden render examples/argocd.yaml

# A module that could not be built anew is removed: an old one would be taken for it.
policy.wasm: $(POLICY) $(wildcard scripts/*) | rust ## The policy, as one WebAssembly module
	@rm -f $@
	scripts/wasm-cargo build --locked -p telewarden-policy --lib --profile wasm --target-dir $(WASM)
	scripts/wasm-opt $(WASM)/wasm32-unknown-unknown/wasm/telewarden_policy.wasm $@

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

deny: export PATH := $(PATH):$(CACHE)/cargo-deny-$(CARGO_DENY)/bin
deny: | rust ## Check the licences and sources of dependencies
	@command -v cargo-deny >/dev/null || \
		cargo install --locked cargo-deny --version $(CARGO_DENY) --root $(CACHE)/cargo-deny-$(CARGO_DENY)
	cargo deny --locked --all-features check bans licenses sources

fmt: | rust ## Format the code
	cargo fmt --all

clean: ## Remove what was built; the cache folder stays
	rm -rf target policy.wasm

# Said here in a sentence, rather than by the first command that fails.
rust:
	@command -v cargo >/dev/null || { echo 'cargo is not here: install Rust from https://rustup.rs' >&2; exit 1; }
	@command -v cc >/dev/null || { echo "cc is not here: install a C compiler (Debian: 'apt-get install gcc libc6-dev')" >&2; exit 1; }
