# Everything a newcomer needs is two commands: `make rehearse` and `make test`.
# Both build what they need on a machine that has Python 3.11 or newer, make and package registries.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
SCENARIO ?= all
IMAGES ?=
CONTEXT ?=

VENV := .venv
SANDBOX := .tools/sandbox
SAMPLES := .tools/samples
BIN := $(CURDIR)/$(VENV)/bin
CDK := $(CURDIR)/node_modules/.bin/cdk
export PATH := $(BIN):$(PATH)
export PYTHONUTF8 := 1
# The environments are independent of each other, and so are the checks.
MAKEFLAGS += --jobs=2 --no-print-directory

UV := $(shell command -v uv 2>/dev/null)
# $(call install,environment folder,arguments)
install = $(if $(UV),$(UV) pip install --quiet --python $(1)/bin/python $(2),$(1)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile $(2))

STACKS = $(if $(filter all,$(SCENARIO)),--all,$(SCENARIO))
CONTEXTS = -c scenarios=$(SCENARIO) $(CONTEXT)

.PHONY: help setup setup-rehearsal rehearse test lint types synth bootstrap deploy walk destroy benchmark diagrams churn-models clean

help: ## Show what can be asked for
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24

$(VENV)/.ready: requirements.txt requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.13 ..." >&2; exit 1; }
	@echo "set-up 1/2  Python packages, Node.js included (once)"
	@$(if $(UV),$(UV) venv --quiet --clear --python "$$(command -v $(PYTHON))" $(VENV),$(PYTHON) -m venv --clear $(VENV))
	@$(call install,$(VENV),-r requirements-dev.txt)
	@touch $@

node_modules/.ready: package.json package-lock.json $(VENV)/.ready
	@echo "set-up 2/2  the CDK command line (once)"
	@npm ci --silent --no-progress
	@touch $@

$(SANDBOX)/.ready: requirements-sandbox.txt
	@echo "set-up      the embedded sandbox (once)"
	@mkdir -p .tools
	@$(if $(UV),$(UV) venv --quiet --clear --python "$$(command -v $(PYTHON))" $(SANDBOX),$(PYTHON) -m venv --clear $(SANDBOX))
	@$(call install,$(SANDBOX),-r requirements-sandbox.txt)
	@touch $@

$(SAMPLES)/.ready: requirements-samples.txt $(VENV)/.ready
	@echo "set-up      sample pictures (once)"
	@rm -rf $(SAMPLES)
	@$(if $(UV),$(UV) pip install --quiet --python $(VENV)/bin/python,$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile) --no-deps --target $(SAMPLES) -r requirements-samples.txt
	@touch $@

setup: $(VENV)/.ready node_modules/.ready
setup-rehearsal: setup $(SANDBOX)/.ready $(SAMPLES)/.ready

rehearse: setup-rehearsal ## Deploy to the embedded sandbox, walk through, remove everything [SCENARIO=name] [KEEP=1]
	@$(BIN)/python -m ml_lens.rehearsal rehearse --scenario="$(SCENARIO)" $(if $(KEEP),--keep)

test: setup-rehearsal lint types ## Check style and types, run every test, report which requirements are proven
	@$(BIN)/python -m pytest -q -n 2 --dist loadgroup $(if $(TESTS),$(TESTS))

lint: $(VENV)/.ready ## Check style and formatting
	@echo "lint        ruff"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .

types: $(VENV)/.ready ## Check types, strictly
	@echo "types       mypy --strict"
	@$(BIN)/mypy constructs stacks docs app.py
	@for function in lambda/*/; do (cd $$function && $(BIN)/mypy --config-file $(CURDIR)/pyproject.toml --no-error-summary .); done
	@for job in jobs/*/; do (cd $$job && $(BIN)/mypy --config-file $(CURDIR)/pyproject.toml --no-error-summary .); done

synth: setup ## Make the templates in cdk.out [SCENARIO=name] [CONTEXT='-c key=value ...']
	@$(CDK) synth --quiet $(CONTEXTS) $(filter-out --all,$(STACKS))

bootstrap: setup ## Prepare an account and Region for deployments, once
	@$(CDK) bootstrap

deploy: setup ## Deploy to the account of your credentials [SCENARIO=name] [CONTEXT='-c key=value ...']
	@$(CDK) deploy $(CONTEXTS) $(STACKS)

walk: setup $(SAMPLES)/.ready ## Walk through what you deployed [SCENARIO=name] [IMAGES=folder]
	@$(BIN)/python -m ml_lens.rehearsal walk --scenario="$(SCENARIO)" $(if $(IMAGES),--images "$(IMAGES)")

destroy: setup ## Remove what you deployed [SCENARIO=name] [CONTEXT='-c key=value ...']
	@$(CDK) destroy $(CONTEXTS) $(STACKS)

benchmark: setup-rehearsal ## Measure synthesis, rules, writers, imports and a rehearsal, each as a ratio
	@for file in tests/benchmarks/bench_*.py; do $(BIN)/python -m tests.benchmarks.$$(basename $$file .py); done

diagrams: $(VENV)/.ready ## Draw the pictures in the READMEs from the templates
	@$(call install,$(VENV),-r requirements-docs.txt)
	@$(BIN)/python -m docs.draw

churn-models: $(VENV)/.ready ## Train every version of the sample model again, to the same bytes
	@$(BIN)/python jobs/churn/reproduce.py

clean: ## Remove everything that was built
	@rm -rf $(VENV) .tools node_modules cdk.out dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
