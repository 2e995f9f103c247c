# Two commands matter: `make demo` and `make test`. Both set up what they need in .venv first.
PYTHON ?= python3
BIN := .venv/bin
LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q
PYTEST_WORKERS ?= 2
COMPILED := build/compiled
EXECUTIONS ?= 1000000
SEED ?= 0
SOAK_S ?= 600

.DEFAULT_GOAL := help
.PHONY: help setup packages demo test unit core-coverage compiled test-compiled fuzz check format docs bench soak image lock clean

help: ## say what each target does
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/pyvenv.cfg:
	$(PYTHON) -m venv .venv

.venv/.runtime: .venv/pyvenv.cfg constraints/runtime.txt constraints/build.txt pyproject.toml
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r constraints/runtime.txt -r constraints/build.txt
	$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: .venv/.runtime constraints/dev.txt
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r constraints/dev.txt
	@touch $@

setup: .venv/.dev ## a virtual environment with everything that development needs

packages: ## install what .ci/packages names, where it is missing and this is root
	@missing=$$(for name in $$(grep -v '^#' .ci/packages); do \
	    dpkg-query -W -f='$${Status}' $$name 2>/dev/null | grep -q 'ok installed' || echo $$name; done); \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" -ne 0 ]; then echo "missing: apt-get install" $$missing >&2; exit 1; fi; \
	apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing

demo: .venv/.runtime ## an API, an issuer, a gate on loopback; agents try things
	@$(BIN)/passgate demo

test: core-coverage ## all tests of the default suite
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadfile --ignore tests/unit/core

core-coverage: .venv/.dev ## the core's own unit tests, which must reach every branch of it
	$(BIN)/python -m coverage run -m pytest tests/unit/core
	$(BIN)/python -m coverage report --fail-under=100

fuzz: .venv/.dev ## a million hostile conversations (EXECUTIONS, SEED)
	$(BIN)/python -m tests.fuzz --executions $(EXECUTIONS) --seed $(SEED)

check: .venv/.dev ## linters, types, import contracts, documents
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -q tests/docs -k "not executed"

format: .venv/.dev ## let the formatter and the safe fixes do their work
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(COMPILED)/.done: .venv/.dev pyproject.toml hatch_build.py $(shell find src -name '*.py')
	rm -rf $(COMPILED) build/wheel
	PASSGATE_COMPILE=1 $(BIN)/python -m hatchling build -t wheel -d build/wheel
	$(BIN)/pip install -q --disable-pip-version-check --no-index --no-deps --target $(COMPILED) build/wheel/*.whl
	@touch $@

compiled: $(COMPILED)/.done ## the gate, its hot path compiled, in build/compiled (needs C)

test-compiled: compiled ## the tests of the default suite, against the compiled gate
	PASSGATE_EXPECT_COMPILED=1 PYTHONPATH=$(COMPILED) $(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadfile

bench: compiled ## measure beside nginx and Envoy (needs wrk); BENCH="latency"
	PYTHONPATH=$(COMPILED) $(BIN)/python -m tests.bench $(BENCH)

soak: compiled ## ten minutes of everything; SOAK_S=60 for less, SOAK=--tls
	PYTHONPATH=$(COMPILED) $(BIN)/python -m tests.soak --seconds $(SOAK_S) --out tests/bench $(SOAK)

image: ## build the container image with buildah, send a request through
	deploy/image/build-and-try

lock: ## resolve versions anew, write the hashed constraints (needs uv)
	$(LOCK) pyproject.toml --all-extras -o constraints/runtime.txt
	$(LOCK) constraints/build.in -o constraints/build.txt
	$(LOCK) pyproject.toml --all-extras constraints/build.in constraints/compile.in -o constraints/compile.txt
	$(LOCK) pyproject.toml --all-extras --group dev -o constraints/dev.txt

clean: ## remove what was made here
	rm -rf .venv dist build .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis passgate-data
