# Everything runs in .venv, which the first target that needs it sets up from requirements.lock.

PYTHON ?= python3
BIN := .venv/bin
TEST_PROCESSES ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
READY := .venv/ready

# Every server and child of a test would compile the same files again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo serve test lint torture check bench screens format lock
.DEFAULT_GOAL := help

help:
	@echo "make demo    a server that transcribes a recording, with real weights where they can be had"
	@echo "make serve   a server with the model that fits this box"
	@echo "make test    all tests"
	@echo "make torture two minutes of kills, power cuts and faults (needs gcc)"
	@echo "make check   format, lint, types, layers, tests, torture"
	@echo "make bench   the figures of bench/README.md"

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Whisperbox needs Python 3.11 or newer: make PYTHON=python3.11 …"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY)
	@$(BIN)/python -m tools.demo

serve: $(READY)
	@$(BIN)/whisperbox serve

# Many tests wait for a server of their own, so one process more than cores pays, and two do not. Without the weights
# or the library for Node, the tests that need them are skipped.
test: $(READY)
	-@$(BIN)/python -m tools.real_weights
	-@$(BIN)/python -m tools.node_sdk
	$(BIN)/pytest -n $(TEST_PROCESSES) --dist worksteal

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The longer parts are run by hand: see bench/README.md.
torture: $(READY)
	$(BIN)/python -m bench.torture short

check: lint test torture

bench: $(READY)
	$(BIN)/python -m bench

# The pictures in docs/; look at each before you commit it.
screens: $(READY)
	SCREENS=docs/screens $(BIN)/pytest tests/browser/test_looks.py

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The only target that needs uv; the lock holds for every Python and platform that we support.
lock:
	$(call compile,--extra dev) -o requirements.lock
	$(call compile,--extra diarization) -o deploy/requirements.lock

compile = uv pip compile --universal --python-version 3.11 $(1) --generate-hashes --no-header \
	--no-annotate --no-emit-index-url --quiet pyproject.toml build.in
