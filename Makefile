# One command each; everything that is needed is installed into .venv first.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$p && break; done)
FAULT ?=
SERVICE ?= employment
KEEP ?=
PRUNE ?=
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export DO_NOT_TRACK := 1

.PHONY: help install demo train up deploy test test-fast test-faults test-browser check lock bench-release bench-outcomes bench-predictor bench-rollout bench-aa bench-serving bench-counters bench-kills bench-mutation soak clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

install: $(VENV)/.installed ## make .venv with exactly what requirements.lock names

$(VENV)/.installed: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Sluice needs Python 3.11 or newer; none was found. Set PYTHON=..."; exit 1; }
	@echo "Installing into $(VENV) (once; about a minute) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep -oE '^uv==[^ ]+' requirements.lock)"
	@$(BIN)/uv pip sync --python $(BIN)/python --require-hashes --compile-bytecode requirements.lock 2>&1 \
		| sed -u '/^ [+~-] /d; /^ Downloaded /d; s/^/  /'
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

demo: install ## release a model on real data and roll it out; FAULT=data|leakage|bias|worse|errors|latency|worse_live; KEEP=1 stays up
	@$(BIN)/sluice demo $(if $(FAULT),--fault $(FAULT)) $(if $(KEEP),--keep)

deploy: install ## bring deployments.yaml to the Prefect server of PREFECT_API_URL; PRUNE=1 removes what left it
	@$(BIN)/sluice deploy $(if $(PRUNE),--prune)

up: install ## Prefect server, worker and MLflow pages, deployments.yaml deployed; Ctrl-C ends all of it
	@exec $(BIN)/sluice up

train: install ## ingest what data/ has of SERVICE (else its example in docs), and release it
	@files=$$(ls data/{*$(SERVICE)*,$(SERVICE)/*}.{parquet,csv} 2>/dev/null || true); \
	if [ -z "$$files" ] && [ -f docs/examples/$(SERVICE).py ]; then \
		folder=$$(mktemp -d); root=$$PWD; trap 'rm -rf "$$folder"' EXIT; \
		(cd "$$folder" && "$$root/$(BIN)/python" "$$root/docs/examples/$(SERVICE).py") || exit; \
		files="$$folder/$(SERVICE).csv"; \
	fi; \
	options=(); for file in $$files; do options+=(--ingest "$$file"); done; \
	$(BIN)/sluice release $(SERVICE) "$${options[@]}"

PYTEST := $(BIN)/python -m pytest --dist loadfile --no-loadscope-reorder --durations 20
# Most of the slow tests wait: four processes keep two cores busy. Faults have times to keep.
test: check ## the suite, lint, types, import contracts, docs; a quarter of an hour
	@$(PYTEST) -n 4

test-faults: install ## kill -9 in every phase, servers that go away, faulty models on live traffic
	@$(PYTEST) -n 2 -m faults

test-fast: install ## the suite without real servers and whole releases
	@$(PYTEST) -n 4 -m "not slow and not faults and not browser"

test-browser: install ## every command of a rollout from its form in the UI, in Chromium; a quarter of an hour
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-browser.lock
	@$(BIN)/python -m pytest -m browser tests/browser

check: install ## lint, format, types, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade
lock: install ## resolve requirements.lock and requirements-browser.lock anew
	@$(LOCK) --group dev --extra postgres --extra scale pyproject.toml --output-file requirements.lock
	@$(LOCK) --group browser --constraint requirements.lock --output-file requirements-browser.lock

bench-release: install ## the warm release beside the same library calls in a plain script
	@$(BIN)/python -m benchmarks.release

bench-outcomes: install ## the clean release and each fault on ten seeds
	@$(BIN)/python -m benchmarks.outcomes

bench-predictor: install ## one row through the served form beside the trained one
	@$(BIN)/python -m benchmarks.predictor

bench-rollout: install ## how often a policy decides wrongly: 1,000 simulated rollouts a row
	@$(BIN)/python -m benchmarks.rollout

ROLLOUTS ?= 20
bench-aa: install ## real rollouts of a model beside itself, and of one that fails; ROLLOUTS=20 of each
	@$(BIN)/python -m benchmarks.rollout_live --rollouts $(ROLLOUTS)

bench-serving: install ## the gateway beside mlflow models serve and an empty handler, the same model
	@$(BIN)/python -m benchmarks.serving

bench-counters: install ## counters against the log after 100,000 requests with kill -9 in between
	@$(BIN)/python -m benchmarks.counters

bench-kills: install ## three minutes of kill -9 of any process of the gateway at random, under load
	@$(BIN)/python -m benchmarks.counters --seconds 180

bench-mutation: install ## 100 small changes in the rooms that decide: does a unit test notice each?
	@nice -n 10 $(BIN)/python -m benchmarks.mutation

SECONDS_OF_SOAK ?= 600
soak: install ## the gateway at half of its capacity for ten minutes: are times and memory flat?
	@$(BIN)/python -m benchmarks.soak --seconds $(SECONDS_OF_SOAK)

clean: ## remove the environment (never your data: that is in .sluice)
	rm -rf $(VENV)
