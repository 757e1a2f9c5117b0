# `make help` lists the targets.

CARGO ?= cargo
# For every build, check and test: `make check CARGO_FLAGS=--locked`.
CARGO_FLAGS ?=

target := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help
help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 12

.PHONY: deps
deps: ## Install missing test tools (OpenSSH, Python, iproute2, strace, a C compiler)
	@.ci/deps

.PHONY: build
build: ## Build everything, unoptimized
	$(CARGO) build --workspace $(CARGO_FLAGS)

# Tests that cannot run on this machine write a line here.
skipped := $(abspath $(target))/skipped-tests.txt

# The programs come first: tests start them, and send them to hosts.
.PHONY: tests
tests: export GJOB_SKIPPED_TESTS = $(skipped)
tests: deps build
	@rm -f $(skipped)
	@.ci/tests $(CARGO) test --workspace $(CARGO_FLAGS)

.PHONY: test
test: tests ## Run all tests, and count those that cannot run here
	@.ci/skipped $(skipped)

# Takes minutes. It prints its seed; GJOB_CHAOS_SEED=N repeats a run.
.PHONY: chaos
chaos: export GJOB_CHAOS_JOBS ?= 2000
chaos: export GJOB_CHAOS_KILLS ?= 200
chaos: export GJOB_CRASH_ALL ?= 1
chaos: deps build ## Kill, freeze and cut off all parts of long runs (GJOB_CHAOS_JOBS, _KILLS, _SEED)
	$(CARGO) test -p gjob-cli --test chaos --test crash_points --test lost_hosts $(CARGO_FLAGS) -- \
	    --include-ignored --nocapture --test-threads 1

.PHONY: bulk
bulk: deps ## Test with gigabytes and tens of thousands of outputs, optimized
	$(CARGO) test --release -p gjob-cli --test bulk $(CARGO_FLAGS) -- \
	    --include-ignored --nocapture --test-threads 1

# cargo-fuzz builds with flags of the nightly compiler. No sanitizer is needed, since
# none of the fuzzed code is unsafe.
fuzzed := frames messages trees paths records
.PHONY: fuzz
fuzz: export RUSTC_BOOTSTRAP = 1
fuzz: SECONDS_EACH ?= 60
fuzz: ## Fuzz the code that reads foreign bytes (SECONDS_EACH; needs cargo-fuzz)
	@$(CARGO) fuzz --version >/dev/null || { echo 'cargo install cargo-fuzz --locked' >&2; exit 1; }
	for target in $(fuzzed); do \
	    mkdir -p fuzz/corpus/$$target fuzz/seeds/$$target && \
	    $(CARGO) fuzz run --sanitizer none $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
	        -max_total_time=$(SECONDS_EACH) -max_len=8192 -print_final_stats=1 || exit; \
	done

.PHONY: demo
demo: deps ## Build gjob and run an example on the local machine
	$(CARGO) run --release $(CARGO_FLAGS) -- run examples/pi.txt -n 12 --show all

.PHONY: check
check: fmt lint core tests doc deny ## Run everything that CI runs
	@.ci/skipped $(skipped)

.PHONY: fmt
fmt: ## Check the formatting
	$(CARGO) fmt --all --check

.PHONY: lint
lint: ## Run clippy
	$(CARGO) clippy --workspace --all-targets $(CARGO_FLAGS) -- -D warnings

# In a build of the workspace, the core would get features for other packages.
.PHONY: core
core: ## Check that the core builds alone, with its own lints
	$(CARGO) clippy -p gjob-core $(CARGO_FLAGS) -- -D warnings

# The program and the library are both called gjob: their docs would be written to one place at
# the same time.
.PHONY: doc
doc: ## Check that the docs build without a broken link
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --exclude gjob-cli --no-deps --document-private-items $(CARGO_FLAGS)
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc -p gjob-cli --no-deps --document-private-items $(CARGO_FLAGS)

.PHONY: deny
deny: ## Check the licences and sources of dependencies (deny.toml)
	@if $(CARGO) deny --version >/dev/null 2>&1; \
	then $(CARGO) deny --all-features check bans licenses sources; \
	else echo 'skipped: cargo-deny is not installed (cargo install cargo-deny --locked)'; fi

.PHONY: bench
bench: BENCH_FLAGS ?=
bench: ## Run the benchmarks, beside other programs that are installed (BENCH_FLAGS)
	$(CARGO) bench -p gjob-core -p gjob --bench '*' $(CARGO_FLAGS)
	$(CARGO) bench -p gjob-cli --bench peers $(CARGO_FLAGS) -- $(BENCH_FLAGS)

.PHONY: install
install: ## Install gjob, with an agent for hosts like this machine in it
	$(CARGO) install --path crates/gjob-cli --locked

.PHONY: agents
agents: ## Have optimized builds contain agents for both x86_64 and aarch64
	rustup target add x86_64-unknown-linux-musl aarch64-unknown-linux-musl
