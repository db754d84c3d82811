# `make demo` and `make test` work on a machine that has only Python 3.11+ with pip. They create .venv, with uv where
# it is present, else with uv installed into .tools (allowed on an externally managed Python), else with venv and pip.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test test-matrix lint-environment lint bench enclosures fuzz lab gpu reproduce docs docs-serve docs-links changelog clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Never let uv fetch an interpreter of its own: the machine's Python is the one the user chose.
export UV_PYTHON_DOWNLOADS = never
export UV_PROJECT_ENVIRONMENT = $(VENV)
# Byte code is kept even where the machine is told not to: without it each process that a test starts compiles torch anew.
unexport PYTHONDONTWRITEBYTECODE
SETUP := PYTHON="$(PYTHON)" VENV="$(VENV)" .ci/setup

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/'

demo:  ## diagnose a trained GRU and an LSTM initialized the popular way (core install only, no torch)
	@$(SETUP) core
	$(BIN)/unitcircle diagnose examples/digits-gru.safetensors --steps 8 --html out/digits-gru.html --fail-on never
	@echo
	$(BIN)/unitcircle diagnose examples/popular-lstm.safetensors --html out/popular-lstm.html --fail-on never

test:  ## the whole test suite with doctests, warnings as errors, coverage of the core
	@$(SETUP) test
	# Two workers on two cores: a thread each, or BLAS makes both wait (20 times slower, measured). Each takes one half
	# in order and then what is left of the other's, so that what a file's tests share is made once.
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal --cov --cov-report=term:skip-covered

test-matrix:  ## the suite on Python 3.11 to 3.14, and on the lowest versions of every dependency (needs uv)
	@.ci/matrix

lint-environment:
	@$(SETUP) lint

lint: lint-environment  ## ruff, pyright strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

bench:  ## every speed claim, as ratios side by side in one run
	@$(SETUP) test
	$(BIN)/python -m benchmarks

enclosures:  ## intervals of the spectral radius against exact arithmetic on 5,100 matrices: minutes on one core
	@$(SETUP) test
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m tests.enclosures 5100 20261

fuzz:  ## 20,000 damaged files of every format: what escapes, and what it takes (a night); COUNT=200 for a minute
	@$(SETUP) test
	UNITCIRCLE_BOMBS=1 $(BIN)/python -m pytest -q --no-cov tests/checkpoints/test_memory.py
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m tests.fuzz --count $(or $(COUNT),20000)

lab:  ## every slider of the lab moved in a headless Chromium, and how long each view takes; pictures in out/lab
	@$(SETUP) test
	$(BIN)/python -m tests.lab.browser
	$(BIN)/unitcircle lab --measure

gpu:  ## what runs on a GPU against what runs on the processor; skipped where there is none
	@$(SETUP) test
	$(BIN)/python -m pytest tests/gpu -rs
	$(BIN)/python -m benchmarks gpu

reproduce:  ## the claims of the sources, ours beside theirs: minutes on two cores
	@$(SETUP) test
	$(BIN)/unitcircle reproduce all --quick --seed 1 --out out/reproduce

docs:  ## the site, warnings are errors; KEEP=1 keeps the figures, findings and tutorials of the last build
	@$(SETUP) docs
	OMP_NUM_THREADS=1 UNITCIRCLE_DOCS_KEEP=$(KEEP) $(BIN)/sphinx-build -W -q -b html docs docs/_build/html
	$(BIN)/python docs/check_site.py docs/_build/html

docs-serve: docs  ## build the site, and show it on http://localhost:8000
	$(BIN)/python -m http.server --bind localhost --directory docs/_build/html 8000

docs-links: docs  ## follow every link of the site that leaves it (needs network)
	UNITCIRCLE_DOCS_KEEP=1 $(BIN)/sphinx-build -q -b linkcheck docs docs/_build/links

changelog:  ## what the next release will say, from the fragments in changelog.d
	@$(SETUP) lint
	$(BIN)/towncrier build --draft --version next

clean:  ## remove what the targets above made
	rm -rf .venv* .tools out docs/_build docs/generated docs/findings docs/tutorials .pytest_cache .ruff_cache .hypothesis
