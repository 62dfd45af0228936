# make setup | repro | check | test | torture | bench | lock. All but setup and lock call setup first.
PYTHON ?= python3
VENV ?= .venv
BIN = $(abspath $(VENV))/bin
export PATH := $(BIN):$(PATH)
# Tests run in three processes of one thread each: some wait, for kills and for DVC.
PYTEST = OMP_NUM_THREADS=1 python -m pytest --numprocesses 3 --dist loadgroup

.PHONY: setup repro lint check test torture bench lock

setup: $(VENV)/ready

# Of 25,000 modules Python compiles those that are used, when they are: pip would compile all.
$(VENV)/ready: requirements.lock pyproject.toml
	@echo "Setting up $(VENV), once: $$(grep -c == requirements.lock) packages of requirements.lock,"
	@echo "2.8 GB on disk; some GB more where torch comes with its libraries for GPUs."
	@echo "It takes 2 to 10 minutes, most of them for the downloads and for unpacking torch."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --no-compile --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@
	@echo "$(VENV) is ready: $$(du -sh $(VENV) | cut -f1). To use it yourself: source $(VENV)/bin/activate"

# The whole pipeline on what params.yaml names, and at its end a table of scores.
repro: setup
	dvc repro
	python benchmarks/demo_table.py

lint: setup
	ruff check
	ruff format --check
	ty check

# Lint, types and the fast tests: within a minute.
check: lint
	$(PYTEST) -m "not slow and not torture"

test: lint
	$(PYTEST)

# Kills at many moments, queues, several processes: what takes too long for every change.
torture: setup
	$(PYTEST) -m torture

bench: setup
	python benchmarks/methods.py benchmarks/methods/demo.yaml
	python benchmarks/readme.py

# An environment of its own, with the packages of environments/NAME.txt: make .venvs/nv_embed/ready
.venvs/%/ready: environments/%.txt
	$(PYTHON) -m venv .venvs/$*
	.venvs/$*/bin/python -m pip install --disable-pip-version-check --requirement $<
	@touch $@

# Writes requirements.lock anew from pyproject.toml: run it when a dependency changes.
lock:
	fresh=$$(mktemp -d) && $(PYTHON) -m venv $$fresh && \
	$$fresh/bin/python -m pip install --quiet 'torch==2.13.0' --editable '.[eval,metrics,dev,embed,ray,s3,near-duplicates,languages,figures,report]' && \
	$$fresh/bin/python -m pip freeze --exclude-editable > $$fresh/frozen && \
	sed 's/+cpu$$//' $$fresh/frozen > requirements.lock; \
	status=$$?; rm -rf $$fresh; exit $$status
