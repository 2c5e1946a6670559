# Everything that one does here by hand; `make help` lists it. Needs only Python >= 3.11 and make.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
LOCAL  := -e libs/vncore -e 'libs/vnclient[local]' -e services/vnapi -e services/vnvs -e 'services/vnas[engine]'
PINS   := constraints.txt pyproject.toml $(wildcard libs/*/pyproject.toml services/*/pyproject.toml)
DEMO   := examples/requests/bond-desk.xml
SAMPLES := $(addprefix examples/requests/,bond-desk.xml home-loans.xml options-book.xml rates-desk.xml)

.DEFAULT_GOAL := help
.PHONY: help demo samples test test-redis chaos up format lint types imports checks unit docs bench clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

demo: $(VENV)/.run  ## value the bond desk with the embedded stack and show the results
	@$(BIN)/vn run $(DEMO) --out .vn/demo/response.xml --table

samples: $(VENV)/.dev  ## value all the sample requests, with a local S3 for those that read from one
	@for request in $(SAMPLES); do \
		$(BIN)/python scripts/with_local_s3.py examples/requests/s3 $(BIN)/vn run $$request --table || exit; \
	done

up: $(VENV)/.run  ## the whole stack in the foreground on port 8080 until Ctrl-C; data under .vn/
	@$(BIN)/vn up --port 8080 --data .vn

test: checks unit  ## every check: format, lint, types, import rules, documentation, all tests

checks: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python scripts/errors_doc.py --check
	$(BIN)/python scripts/pricing_doc.py --check

unit: $(VENV)/.dev
	$(BIN)/pytest -q -n auto --dist loadfile

test-redis: $(VENV)/.dev  ## the stream tests on an installed redis-server >= 7 (REDIS_SERVER=path)
	VN_TEST_REDIS=$(or $(REDIS_SERVER),redis-server) $(BIN)/pytest -q -n auto $(wildcard libs/*/tests/stream services/*/tests/stream)

chaos: $(VENV)/.dev  ## kill everything for a while, at random, and see that nothing is lost (MINUTES=10 SEED=7)
	@$(BIN)/python -m tests.chaos --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED))

format: $(VENV)/.dev  ## rewrite the code in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(VENV)/.dev  ## lint and import rules
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache

types: $(VENV)/.dev  ## mypy, strict
	$(BIN)/mypy

docs: $(VENV)/.dev  ## rewrite the generated pages
	$(BIN)/python scripts/errors_doc.py
	$(BIN)/python scripts/pricing_doc.py

bench: $(VENV)/.dev  ## run the benchmarks; tables to paste into benchmarks/README.md
	$(BIN)/python -m benchmarks

clean:  ## remove the virtual environment, caches and local data
	rm -rf $(VENV) .vn .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find libs services tests -name __pycache__ -prune -exec rm -rf {} +

# What running needs, and on top of it what checking needs; made again when a pin changes.
$(VENV)/.run: $(PINS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "VN needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12 " + "$(MAKECMDGOALS)")'
	@echo "Setting up $(VENV) (about a minute, once) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --upgrade -c constraints.txt pip
	@$(PIP) install -c constraints.txt $(LOCAL)
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@echo "Adding the tools that check ..."
	@$(PIP) install -c constraints.txt --group dev
	@touch $@
