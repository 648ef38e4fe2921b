# Two commands on a fresh machine: `make demo` and `make test`. Each sets up by itself.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
EXTRAS := train,openvino,parquet,logs,shape,motion,dev
WORKERS ?= 2

# One thread each for two tests at a time: more threads on two cores are slower, not faster.
export OMP_NUM_THREADS ?= 1

.PHONY: setup demo test test-long check format bench docs clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Triscope needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Give another: make setup PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing Triscope and what it needs into $(VENV) (a few minutes the first time) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$(EXTRAS)]"
	@touch $@

demo: $(READY)  ## paint parts, fit, calibrate, inspect, write the report
	@env -u OMP_NUM_THREADS $(BIN)/triscope demo

test: $(READY)  ## the default suite
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --max-worker-restart 0 -m "not long"

test-long: $(READY)  ## with the tests that take minutes
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --max-worker-restart 0

check: $(READY)  ## lint, format, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)  ## all tables of docs/benchmarks (hours; each script also runs by itself)
	$(BIN)/python -m benchmarks

docs: $(READY)  ## the generated parts of the documentation
	$(BIN)/python -m docs_src.generate

clean:
	rm -rf $(VENV) .bench demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
