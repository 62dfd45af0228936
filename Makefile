# make setup | estimate | repro | test | lint | bench | lock. All but setup and lock call setup first.
PYTHON ?= python3
VENV ?= .venv
BIN = $(abspath $(VENV))/bin
export PATH := $(BIN):$(PATH)

.PHONY: setup estimate repro test lint bench lock

setup: $(VENV)/ready

$(VENV)/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

repro: setup
	dvc repro
	python -m dataselect.compare

# What the run that params.yaml asks for will take, before it is spent.
estimate: setup
	python -m dataselect.estimate

test: lint
	python -m pytest

lint: setup
	ruff check
	ruff format --check
	ty check

bench: setup
	python benchmarks/methods.py benchmarks/methods/demo.yaml
	python benchmarks/readme.py

# Writes requirements.lock anew from pyproject.toml: run it when a dependency changes.
lock:
	fresh=$$(mktemp -d) && $(PYTHON) -m venv $$fresh && \
	$$fresh/bin/python -m pip install --quiet 'torch==2.13.0' --editable '.[eval,dev,embed,ray,s3]' && \
	$$fresh/bin/python -m pip freeze --exclude-editable | sed 's/+cpu$$//' > requirements.lock; \
	rm -rf $$fresh
