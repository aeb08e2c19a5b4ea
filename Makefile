# Everything here sets itself up: Python 3.11 or later with pip, and make, are enough.
# Where npm is installed, tests also run against Azurite, and where apt is, against SoftHSM; without it they say so and skip.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMPS := $(VENV)/stamps
PLUGINS := azure cdh gcs https pkcs11 s3 sftp vault
PROJECTS := pyproject.toml $(PLUGINS:%=plugins/%/pyproject.toml)
OURS := enclave-connectors $(PLUGINS:%=enclave-connectors-%)
WHEELS := .venv-wheels
SHIPPED := .venv-shipped
EDITABLE := $(PLUGINS:%=-e plugins/%)
# Tests wait for servers, and for broken networks, half of their time. A worker that has none left takes another's.
WORKERS ?= 4
PARALLEL := -n $(WORKERS) --dist worksteal
# Which versions test-pythons looks for.
PYTHONS ?= 3.11 3.12 3.13 3.14
GROUPS := test fuzz lint bench ecosystem
LOCKED := $(GROUPS) supply
# Of a compiled list: versions only, without this project's own.
BARE := --quiet --no-emit-index-url --no-annotate --no-header $(OURS:%=--no-emit-package %)
FUZZ_TARGETS := formats credentials locations documents responses clouds workflow
FUZZ_SECONDS ?= 600
# uv installs the exact versions of constraints.txt and checks their hashes, also of what builds packages; lock files are
# not kept, because they name registry hosts.
LOCK := --constraint constraints.txt --build-constraint constraints.txt
INSTALL := $(BIN)/uv pip install --quiet --python $(VENV) $(LOCK)

# Where bytecode may not be kept, each of the thousands of commands that the tests run compiles everything again.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help demo demo-workflow test coverage test-slow test-pythons attacks fuzz lint format bench docs dist test-wheels test-lowest
.PHONY: sbom release audit constraints clean

help:  ## Show this.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | \
	  awk -F'|' '{ printf "  make %-12s %s\n", $$1, $$2 }'

demo: $(STAMPS)/demo  ## Seal patient data, run an application on it, open its sealed result.
	@$(BIN)/connectors demo

demo-workflow: $(STAMPS)/demo  ## The same among three parties, who all sign before anything runs.
	@$(BIN)/connectors demo --workflow

test: $(STAMPS)/test $(STAMPS)/servers  ## Run all tests against real servers on this machine.
	@echo "· testing; slow tests are left to make test-slow, coverage to make coverage"
	@$(BIN)/pytest $(PARALLEL) -m "not slow" $(PYTEST_ARGS)

coverage: $(STAMPS)/test $(STAMPS)/servers  ## Run all tests and show which branches they do not reach.
	@$(BIN)/pytest $(PARALLEL) -m "not slow" --cov --cov-report=term:skip-covered $(PYTEST_ARGS)

attacks: $(STAMPS)/test $(STAMPS)/servers  ## Run all attacks and faults, and write their outcomes to docs/attacks.md.
	@CONNECTORS_WRITE_ATTACKS=1 $(BIN)/pytest $(PARALLEL) tests/hostile $(PYTEST_ARGS)

test-slow: $(STAMPS)/test $(STAMPS)/servers  ## Run the tests that take minutes or gigabytes.
	@$(BIN)/pytest -m slow $(PYTEST_ARGS)

test-pythons: $(STAMPS)/uv $(STAMPS)/servers  ## Run most tests on every Python from 3.11 up that is installed.
	@UV=$(BIN)/uv .ci/test-pythons "$(PYTHONS)" $(PARALLEL) $(PYTEST_ARGS)

fuzz: $(STAMPS)/test  ## Fuzz every parser, FUZZ_SECONDS=600 for each target; see fuzz/.
	@for target in $(FUZZ_TARGETS); do \
	  echo "· fuzzing $$target for $(FUZZ_SECONDS) s"; \
	  $(BIN)/python -m fuzz $$target --seconds $(FUZZ_SECONDS) --seed $$$$ --found .fuzz/$$target || exit 1; \
	done

lint: $(STAMPS)/test  ## Check style, types and the layers of the packages.
	@echo "· ruff"
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@echo "· mypy --strict"
	@$(BIN)/mypy
	@echo "· import-linter"
	@$(BIN)/lint-imports

format: $(STAMPS)/test  ## Format the code, and mend what can be mended without thinking.
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

bench: $(STAMPS)/test  ## Measure speed, memory and requests, compared with peers and limits: half an hour; see benchmarks/.
	@$(BIN)/python -m benchmarks $(BENCH_ARGS)

docs: $(STAMPS)/test  ## Run every example in README.md, docs/ and the docstrings.
	@$(BIN)/pytest -q tests/project/test_docs.py connectors $(foreach plugin,$(PLUGINS),plugins/$(plugin)/connectors_$(plugin))

dist: $(STAMPS)/uv  ## Build the wheels of all distributions into dist/.
	@rm -f dist/*.whl && $(BIN)/uv build --quiet --all-packages --wheel --build-constraint constraints.txt --out-dir dist
	@ls dist

test-wheels: dist $(STAMPS)/servers  ## Run the tests on the wheels, as users install them.
	$(call on_wheels,constraints.txt)

test-lowest: dist $(STAMPS)/servers  ## Run the tests on the wheels, with the lowest versions that they allow.
	@$(BIN)/uv pip compile $(PROJECTS) --extra demo --extra all --extra identity --extra ssh-agent \
	  --resolution lowest-direct --python-version 3.11 --upgrade $(BARE) --output-file dist/lowest.txt > /dev/null
	$(call on_wheels,dist/lowest.txt)

sbom: dist $(STAMPS)/supply  ## List all that users of the wheels install, as CycloneDX, in dist/sbom.cdx.json.
	$(shipped)
	@$(BIN)/cyclonedx-py environment --output-reproducible --output-format JSON --output-file dist/sbom.cdx.json \
	  $(SHIPPED)/bin/python
	@ls dist/sbom.cdx.json

release: $(if $(RELEASE_KEY),dist sbom)  ## Build what is published, and sign it with RELEASE_KEY; see docs/verifying.md.
	@test -n "$(RELEASE_KEY)" || { echo "name the file of the private key: make release RELEASE_KEY=release.pem"; exit 1; }
	@$(BIN)/uv pip compile $(PROJECTS) --extra all --extra identity --extra workflow --constraint constraints.txt --universal \
	  --python-version 3.11 --generate-hashes $(BARE) --output-file dist/requirements.txt > /dev/null
	@$(BIN)/python .ci/sign.py dist "$(RELEASE_KEY)"

audit: dist $(STAMPS)/supply  ## Ask the database of known weaknesses about all that users of the wheels install.
	$(shipped)
	@$(BIN)/uv pip list --quiet --python $(SHIPPED) --format freeze | grep -v '^enclave-connectors' > dist/shipped.txt
	@$(BIN)/pip-audit --strict --disable-pip --no-deps --requirement dist/shipped.txt

# The tests, on the wheels as they are installed and not on the folders beside the tests: those are on no path, for
# programs that the tests start neither. The benchmarks measure the folder that they lie in; they are left out.
define on_wheels
@echo "· installing the wheels into $(WHEELS), with the versions of $(1)"
@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(WHEELS)
@$(BIN)/uv pip install --quiet --python $(WHEELS) --constraint $(1) --build-constraint constraints.txt \
  dist/*.whl --group test --group lint --group ecosystem flask flask-cors 'moto[s3]' pandas paramiko rfc8785 'securesystemslib[crypto]'
@PYTHONSAFEPATH=1 $(WHEELS)/bin/pytest $(PARALLEL) -m "not slow" tests $(PLUGINS:%=plugins/%/tests) \
  --ignore=tests/project/test_benchmarks.py --ignore=tests/project/test_memory.py $(PYTEST_ARGS)
@PYTHONSAFEPATH=1 $(WHEELS)/bin/pytest -q --pyargs connectors $(PLUGINS:%=connectors_%)  # the examples in docstrings
endef

define shipped
@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(SHIPPED)
@$(BIN)/uv pip install --quiet --python $(SHIPPED) --constraint constraints.txt dist/*.whl
@rm -f $(SHIPPED)/lib/python*/site-packages/enclave_connectors*/direct_url.json  # where they lay on this machine
endef

constraints: $(STAMPS)/uv  ## Compile constraints.txt anew.
	@{ echo "# Exact versions and their hashes, for make and CI. Made by: make constraints"; \
	  $(BIN)/uv pip compile $(PROJECTS) --all-extras $(LOCKED:%=--group %) --universal \
	    --python-version 3.11 --upgrade --generate-hashes $(BARE); \
	} > constraints.tmp && mv constraints.tmp constraints.txt
	@{ echo "# The test proxy's exact versions and their hashes. Made by: make constraints"; \
	  echo "mitmproxy==11.0.2" | $(BIN)/uv pip compile - --universal --python-version 3.11 --upgrade --generate-hashes $(BARE); \
	} > constraints.tmp && mv constraints.tmp constraints-proxy.txt
	@{ echo "# The Amazon S3 Encryption Client's exact versions and their hashes, for tests. Made by: make constraints"; \
	  printf 'amazon-s3-encryption-client-python==4.0.0\nboto3\n' | $(BIN)/uv pip compile - --universal \
	    --python-version 3.11 --upgrade --generate-hashes $(BARE); \
	} > constraints.tmp && mv constraints.tmp constraints-s3-client.txt

clean:  ## Remove what make has installed and built.
	@rm -rf $(VENV) $(PYTHONS:%=.venv-%) $(WHEELS) $(SHIPPED) .servers .fuzz dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage*

$(STAMPS)/uv: constraints.txt
	@echo "· making a virtual environment in $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed; name one: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@sed -n '/^uv==/,/[^\\]$$/p' constraints.txt > $(VENV)/uv.txt  # pip takes no hashes from constraints
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $(VENV)/uv.txt
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/demo: $(STAMPS)/uv $(PROJECTS)
	@echo "· installing the SDK, its plugins and the demo's object store"
	@$(INSTALL) -e ".[demo]" -e plugins/https -e plugins/s3
	@touch $@

$(STAMPS)/test: $(STAMPS)/uv $(PROJECTS)
	@echo "· installing the SDK, its plugins, the test servers and tools"
	@$(INSTALL) -e ".[demo,ssh-agent]" $(EDITABLE) $(GROUPS:%=--group %)
	@touch $@

# mitmproxy and Amazon's client need an older cryptography than this package: they have environments, and constraints, of
# their own.
$(STAMPS)/servers: $(STAMPS)/uv constraints-proxy.txt constraints-s3-client.txt .ci/install-softhsm
	@echo "· installing mitmproxy into .servers"
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .servers/mitmproxy
	@$(BIN)/uv pip install --quiet --python .servers/mitmproxy --require-hashes -r constraints-proxy.txt
	@echo "· installing the Amazon S3 Encryption Client into .servers"
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .servers/s3-encryption-client
	@$(BIN)/uv pip install --quiet --python .servers/s3-encryption-client --require-hashes -r constraints-s3-client.txt
	@if command -v npm > /dev/null; then \
	  echo "· installing Azurite into .servers"; \
	  npm install --loglevel=error --no-fund --no-audit --no-package-lock --prefix .servers azurite@3.37.0; \
	else echo "· npm is not installed: tests against Azurite will be skipped"; fi
	@.ci/install-softhsm .servers/softhsm
	@touch $@

$(STAMPS)/supply: $(STAMPS)/uv $(PROJECTS)
	@echo "· installing the tools of the supply chain"
	@$(INSTALL) --group supply
	@touch $@
