# Two commands matter: `make demo` and `make check`. Both make their own environment in .venv.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: help install models demo check format lint types imports test coverage lock clean

help:  ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: .venv/.stamp  ## make .venv with the locked packages and the citebound command

.venv/.stamp: requirements.lock pyproject.toml
	@echo "==> making the environment in .venv (the first time takes a few minutes)"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) install --quiet "pip==26.3" || echo "pip could not be renewed; going on with the one that is there"
	$(PIP) install --progress-bar on -r requirements.lock
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

models: install  ## get the default models and the large verifier's encoder (about 620 MB, once)
	$(BIN)/citebound models pull all-MiniLM-L6-v2 SmolLM2-135M-Instruct all-mpnet-base-v2

demo: install  ## start the service, ingest the samples, ask a question (ONCE=1 stops after the answer)
	$(BIN)/citebound demo docs/samples $(if $(ONCE),--once)

check: install models lint types imports test  ## everything that must be green before a change lands

format: install  ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install
	$(BIN)/mypy

imports: install
	$(BIN)/lint-imports

test: install
	$(BIN)/python -m pytest -q

coverage: install  ## the tests again, and which lines they leave out (half as long again)
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered -q

lock: install  ## write requirements.lock from what .venv holds now
	$(PIP) freeze --exclude-editable --exclude citebound --all | sed -e 's/^torch==\([0-9.]*\)+.*/torch==\1/' -e '/^pip==/d' > requirements.lock

clean:  ## remove the environment and every cache in this folder
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage *.egg-info build .demo-data
