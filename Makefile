# Everything sets itself up: `make test` works on a fresh clone.
VENV   ?= .venv
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PY     := $(VENV)/bin/python
PYTEST := $(PY) -m pytest
STAMP  := $(VENV)/installed
WORKERS ?= 2

.PHONY: help install servers lint test test-long demo bench differential-report differential-live differential-recapture reference clean

help:
	@echo "make demo                 the whole thing on embedded servers; nothing else to install"
	@echo "make test                 lint, and all tests against real PostgreSQL, MariaDB and Kafka"
	@echo "make test-long            the long kill runs"
	@echo "make bench                Debezium and pycdc side by side on this machine"
	@echo "make differential-report  every captured Debezium case, equal or not"
	@echo "make differential-live    generated databases through the real Debezium and pycdc at once, for an hour"
	@echo "make differential-recapture  some captured cases on the real Debezium: proves the harness"

$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "pycdc needs Python 3.11 or newer: apt-get install python3.11 python3.11-venv"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || { echo "Python's venv is missing: apt-get install python3-venv"; exit 1; }
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -e '.[demo,dev]'
	@touch $@

install: $(STAMP)

# What tests need besides Python: named in one line each when it is missing.
servers: $(STAMP)
	@$(PY) -m pycdc.servers --debezium --registry --mariadb

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports

test: lint servers
	$(PYTEST) -n $(WORKERS) --dist loadgroup -m "not long" -q

test-long: servers
	$(PYTEST) -m long -q -s

demo: $(STAMP)
	$(VENV)/bin/pycdc demo

bench: servers
	@$(PY) -m pycdc.servers --debezium
	$(PY) benchmarks/run.py

differential-report: servers
	PYCDC_DIFFERENTIAL_ALL=1 $(PYTEST) tests/differential/test_cases.py -n 3 -q

# SEED, MINUTES and CASES choose what is tried.
differential-live: $(STAMP)
	@$(PY) -m pycdc.servers --debezium
	$(PY) tests/differential/live $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(CASES),--cases $(CASES))

differential-recapture: $(STAMP)
	@$(PY) -m pycdc.servers --debezium
	$(PY) tests/differential/live/recapture.py

reference: $(STAMP)
	$(VENV)/bin/pycdc reference --write docs/reference

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
