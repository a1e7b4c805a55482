# imagestore-sim: what one does every day. `make` alone lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
NEW_ENOUGH := import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, and $(PYTHON) is %s; name a newer one: make $(or $(MAKECMDGOALS),install) PYTHON=python3.11" % sys.version.split()[0])
PYTEST := $(BIN)/pytest $(PYTEST_OPTIONS)

.DEFAULT_GOAL := help
.PHONY: help install lab test test-browser test-clients test-compose test-mariadb test-processes test-scenarios test-soak test-thorough scenarios lint package docs parity clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-15s %s\n", $$1, $$2}'

install: $(INSTALLED) ## make .venv with exactly the versions that were tested

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c '$(NEW_ENOUGH)'
	@echo "installing into $(VENV): about a minute"
	@# An environment of an older Python, or of one that is gone, stays as it is unless it is cleared.
	@$(PYTHON) -m venv $$($(BIN)/python -c '$(NEW_ENOUGH)' 2>&- || echo --clear) $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[development]'
	$(BIN)/python -m compileall -q simulator
	@touch $@

# Bytecode is kept even where the environment says not to: every process that a test starts would compile the package again.
test test-browser test-clients test-compose test-mariadb test-processes test-scenarios test-soak test-thorough scenarios: export PYTHONDONTWRITEBYTECODE =

lab: $(INSTALLED) ## run a management node with three simulated ImageStore hosts on port 8080
	$(BIN)/imagestore-sim lab

test: $(INSTALLED) ## run the tests, on every core
	$(PYTEST) -m 'not browser and not compose and not clients and not scenarios and not soak and not processes and not thorough and not mariadb' --numprocesses auto --dist worksteal

test-thorough: $(INSTALLED) ## run floods, fuzz, properties, oracles and recorded answers
	$(PYTEST) -m 'thorough and not scenarios and not soak and not processes and not mariadb' --numprocesses auto --dist worksteal

test-processes: $(INSTALLED) ## run the tests that start the command: starts that fail, kills, every command of the README
	$(PYTEST) -m 'processes and not clients and not scenarios and not mariadb' --numprocesses auto --dist worksteal

test-mariadb: $(INSTALLED) ## run tests on a real MariaDB and a Galera cluster of three (needs Debian's mariadb-server and galera-4)
	$(PYTEST) -m mariadb --numprocesses auto --dist loadfile

test-browser: $(INSTALLED) ## open the pages in Chromium, check their scripts; screenshots in build/screenshots (needs Chromium, and Node)
	$(PYTEST) tests/console -m 'browser and not alone' --numprocesses 2 --dist loadfile
	$(PYTEST) tests/console -m 'browser and alone'

test-soak: $(INSTALLED) ## run what goes on for half an hour and more; SOAK_SECONDS=60 makes it a minute, SOAK_RUNS=40 a thousand kills
	$(PYTEST) tests/soak -m soak -s

test-scenarios: $(INSTALLED) ## run what takes minutes: the library three times over, a week of a hundred hosts, every recorded answer
	$(PYTEST) -m 'scenarios and not mariadb'

scenarios: $(INSTALLED) ## replay the library of failure scenarios, and write report/index.html
	$(BIN)/imagestore-sim replay scenarios -j 2 --report report

test-clients: $(INSTALLED) ## run real clients of ZStack and tools of OpenAPI against a lab (needs Go, Java, Node, and package indexes)
	$(PYTEST) -m clients

test-compose: $(INSTALLED) ## run the tests of the lab in containers (needs Docker and Compose)
	$(PYTEST) tests/compose

lint: $(INSTALLED) ## check style, types and the layers of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

package: $(INSTALLED) ## build sdist and wheel into dist/, and check both
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl

docs: $(INSTALLED) ## write the generated documents; PAGES="stories picture same-results" those that take longer
	$(BIN)/python docs/generate.py $(PAGES)

parity: $(INSTALLED) ## send the recorded calls to the emulator, count by group, prune the list of open ones
	$(BIN)/python -m imagestore_sim.parity.progress

clean: ## remove what the targets made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
