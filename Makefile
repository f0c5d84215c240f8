# Everything a person does with this checkout. `make help` lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The service that start, stop and status talk about: a user's own, unless THORD_HOME says otherwise.
CTL := $(BIN)/thorctl
ENV_FILE := $(if $(wildcard .env),--env-file .env)
# Options of pytest for the test suite: the markers left out have targets of their own.
SUITE := -m "not soak and not walk and not bench and not container" --numprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: help install lint format test coverage check bench-check walk image image-check demo soak fuzz sanitize clients start stop restart status bench bench-serve bench-train compare docs clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 12

install: $(VENV)/kernel ## thord and thorctl into .venv; after a 'git pull' too

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "thord needs Python 3.11 or newer; set PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing thord into $(VENV) (torch is large: this takes a minute or more)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

# Compiled anew where its sources changed, as after a 'git pull'.
$(VENV)/kernel: $(VENV)/installed $(wildcard engine/native/*.cpp engine/native/*.h engine/native/*.py)
	@$(BIN)/python -m engine.native.build
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed | $(VENV)/kernel
	@echo "installing what the tests and benchmarks need"
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,bench]'
	@touch $@

lint: $(VENV)/installed-dev ## style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(VENV)/installed-dev ## rewrite to the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: $(VENV)/installed-dev ## the whole test suite
	$(BIN)/pytest $(SUITE)

coverage: $(VENV)/installed-dev ## statements and branches that the tests reach (TESTS=tests/engine for a part)
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest $(SUITE) $(TESTS); \
	status=$$?; $(BIN)/coverage combine --quiet && $(BIN)/coverage report && exit $$status

bench-check: $(VENV)/installed-dev ## three benchmarks at a tiny size: they run, and do the same work as their peers
	$(BIN)/pytest -m "bench and not soak"

walk: $(VENV)/installed-dev ## what a newcomer does, with a real model: every command of the README
	$(BIN)/pytest -m walk

image: ## the container image (TORCH_INDEX=URL chooses the torch, ENGINE=podman another builder)
	$(or $(ENGINE),docker) build -f Containerfile -t thord:cpu --build-arg TORCH_INDEX=$(TORCH_INDEX) .

image-check: $(VENV)/installed-dev ## build the image with buildah and start it, if buildah is here
	$(BIN)/pytest -m container --timeout=1800

soak: $(VENV)/installed-dev ## an hour of everything, a hundred swaps (SECONDS=600 SWAPS=20 for less)
	THORD_SOAK_SECONDS=$(or $(SECONDS),3600) THORD_SOAK_SWAPS=$(or $(SWAPS),100) $(BIN)/pytest -m soak -s --timeout=7200

.PHONY: cycles
cycles: $(VENV)/installed-dev ## a hundred cycles of an adapter: what they write, and leave on disk (CYCLES=10 for less)
	THORD_CYCLES=$(or $(CYCLES),100) $(BIN)/pytest -m soak -s --timeout=7200 tests/e2e/test_hundred_cycles.py

fuzz: $(VENV)/installed-dev ## damaged files for every reader (SECONDS=600 each; 60 by default)
	$(BIN)/python -m tests.fuzz.readers --seconds $(or $(SECONDS),60)

# Python is not compiled under ASan, so its library has to be loaded first; what Python holds at its end is not a leak of ours.
sanitize: $(VENV)/installed-dev ## the kernel tests under ASan and UBSan (ISA=avx512 for another variant than avx2)
	THORD_ISA=$(or $(ISA),avx2) $(BIN)/python -m tests.engine.native.sanitizers
	LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libstdc++.so)" ASAN_OPTIONS=detect_leaks=0 \
	THORD_ISA=$(or $(ISA),avx2) $(BIN)/python -m pytest -p tests.engine.native.sanitizers -p no:cacheprovider \
	$(addprefix tests/engine/native/test_,causal_attention.py products.py passes.py) tests/engine/inference/native/test_decoder.py

check: lint test ## lint and test

demo: $(VENV)/kernel ## a model talks, learns something new and keeps what it knew, in a few minutes
	@$(BIN)/python -m demo

start: $(VENV)/kernel ## start the service of this user, with the variables of .env if there is one
	@$(CTL) start $(ENV_FILE)

stop: ## stop it
	@$(CTL) stop

restart: $(VENV)/kernel ## stop it, and start it again
	@$(CTL) restart $(ENV_FILE)

status: ## what it is doing
	@$(CTL) status

clients: $(VENV)/installed-dev ## unmodified clients of OpenAI's API against a served starter model
	@$(BIN)/python tests/clients/run.py $(if $(FROM),--from $(FROM))

bench: $(VENV)/installed-dev ## ours beside the public peers
	@for benchmark in bench/bench_*.py; do echo "== $$benchmark"; $(BIN)/python $$benchmark || exit 1; done

bench-serve: $(VENV)/installed-dev ## answering beside transformers and llama.cpp
	-@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,bench,peers]'
	$(BIN)/python bench/bench_serve.py
	$(BIN)/python bench/bench_serve.py --shape smollm2-135m
	$(BIN)/python bench/bench_serve.py --shape llama-1.1b --format int4 --only 'one client'

bench-train: $(VENV)/installed-dev ## training beside transformers.Trainer and a loop written by hand
	@$(BIN)/python bench/bench_train.py
	@$(BIN)/python bench/bench_tokenising.py

compare: $(VENV)/installed-dev ## what this commit computes beside another one (BEFORE=COMMIT): equal after a change of structure
	$(BIN)/python bench/compare_commits.py $(BEFORE)

docs: $(VENV)/kernel ## what is generated from the code
	@$(BIN)/python -m daemon.settings.environment.reference docs/environment.md > .page.md && mv .page.md docs/environment.md
	@$(BIN)/python -m daemon.settings.environment.reference .env.example > .example && mv .example .env.example
	@$(BIN)/python -m daemon.settings.reference etc/thord.toml > .thord.toml && mv .thord.toml etc/thord.toml
	@$(BIN)/python -m daemon.settings.reference docs/settings.md > .settings.md && mv .settings.md docs/settings.md
	@$(BIN)/python -m daemon.supervisor.integrations.schemas docs/events

clean: ## remove what was built
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.* .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
