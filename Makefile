# One command for each thing to do. `make` alone prints this list.

PYTHON ?= python3
BIN := .venv/bin
SEEDS ?= 1 2 3

.DEFAULT_GOAL := help
.PHONY: help install run test fuzz lint types lint-contract check lock clean

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: .venv/runtime ## Make .venv with .venv/bin/tasks-api in it, from locked dependencies

run: install ## Run the service; prints the address of its documentation and a token to try it with
	@$(BIN)/tasks-api serve

test: .venv/dev ## Run all tests, with a PostgreSQL and a service of their own
	$(BIN)/python -m pytest --cov

fuzz: .venv/dev ## Fuzz a running service over its socket, once for each of SEEDS
	$(BIN)/python -m tests.fuzz $(SEEDS)

lint: .venv/dev ## Check the code's style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/dev ## Check the code's types
	$(BIN)/mypy

lint-contract: openapi/lint/node_modules ## Check the contract with Redocly and Spectral (needs Node.js)
	@npm run --silent --prefix openapi/lint lint

check: lint types lint-contract fuzz test ## Do what CI does

lock: .venv/dev ## Choose the newest versions of all dependencies
	$(BIN)/uv pip compile --quiet --universal --upgrade --generate-hashes --no-header --python-version 3.11 \
	  pyproject.toml --group build --output-file requirements/runtime.txt
	$(BIN)/uv pip compile --quiet --universal --upgrade --generate-hashes --no-header --python-version 3.11 \
	  pyproject.toml --group build --group dev --constraint requirements/runtime.txt --output-file requirements/dev.txt

clean: ## Remove what the other commands made, but no data
	rm -rf .venv openapi/lint/node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis .schemathesis .coverage*

.venv/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12 ...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv --clear .venv
	@touch $@

.venv/runtime: .venv/python requirements/runtime.txt pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/runtime.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/dev: .venv/runtime requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/dev.txt
	@touch $@

openapi/lint/node_modules: openapi/lint/package-lock.json
	npm ci --silent --prefix openapi/lint
	@touch $@
