# Every target with a "##" comment is listed by `make help`.
.DEFAULT_GOAL := help
.PHONY: help install install-dev up test test-nobrowser check lint fmt bench chaos year lock clean

bin := .venv/bin
# Half a core is worse than one: two workers only where there are two cores.
cores := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
parallel := $(if $(filter 1,$(cores)),,-n 2 --dist loadfile --no-loadscope-reorder)
pytest := $(bin)/python -m pytest

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: ## build .venv from the lock file (what `make up` does first)
	@scripts/install run

install-dev:
	@scripts/install dev

up: install ## start the gateway (8000), the sandbox (8001) and the demo shop (8002)
	@exec $(bin)/naru dev $(ARGS)

test: install-dev ## run every test; installs what they need
	@scripts/test-tools
	$(pytest) $(parallel) $(ARGS)

test-nobrowser: install-dev ## run every test that needs no Chromium
	@scripts/test-tools --no-browser
	$(pytest) $(parallel) -m "not browser" $(ARGS)

check: lint ## format, lint, types, import rules, unit and contract tests: under a minute, no browser
	@$(pytest) -q -m "not browser and not slow" $(wildcard tests/unit tests/contract)

lint: install-dev ## format, lint, types and import rules only
	@$(bin)/ruff format --check --quiet . || { $(bin)/ruff format --check . | tail -20; echo "make fmt repairs this"; exit 1; }
	@$(bin)/ruff check --quiet --output-format concise .
	@$(bin)/lint-imports --no-logo >.lint-imports.log 2>&1 || { cat .lint-imports.log; exit 1; }
	@$(bin)/basedpyright --level error

fmt: install-dev ## format the code and repair what ruff can repair
	@$(bin)/ruff check --fix --quiet --output-format concise . ; $(bin)/ruff format .

bench: install-dev ## compare speed and size with the floor server (ARGS="--help" lists the options)
	@$(bin)/python -m bench $(ARGS)

chaos: install-dev ## faults and kill -9 by seed, then compare both sides' books (ARGS="--seed 7 --payments 500")
	@$(bin)/python -m tests.chaos $(ARGS)

year: install-dev ## bill a thousand customers for a year (`make test` takes 250)
	@NARU_YEAR_CUSTOMERS=1000 $(pytest) -q tests/service/test_billing_year.py $(ARGS)

lock: install-dev ## resolve the dependencies anew into the lock files
	@scripts/lock $(ARGS)

clean: ## remove the environment and everything the tools left behind
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis .import_linter_cache .lint-imports.log
