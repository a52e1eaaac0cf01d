# Every target sets up what it needs in .venv; nothing outside the checkout changes.
#   make PYTHON=/path/to/python3   an interpreter of your choice
#   make test T=tests/unit         a part of the tests, one after the other
#   make test WORKERS=8            more tests side by side, on a machine with more processors

PYTHON ?=
VENV   ?= .venv
T      ?=
WORKERS ?= 2

BOOTSTRAP = $(firstword $(PYTHON) python3) scripts/bootstrap.py --venv $(VENV) $(if $(PYTHON),--python $(PYTHON))
IN        = $(VENV)/bin
PYTEST    = $(IN)/python -m pytest
# Files of tests side by side; but not of those that measure
TOGETHER  = -n $(WORKERS) --dist loadfile
ALONE     = tests/perf tests/test_demo.py
SOURCES   = src tests demo benchmarks scripts fuzz

.DEFAULT_GOAL := help
.PHONY: help run-time dev check lint test parts fuzz demo golden contain bench docs lock clean

help: ## say what there is
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 10

run-time:
	@$(BOOTSTRAP)

dev: ## set up .venv with all that tests and checks need
	@$(BOOTSTRAP) --dev

check: lint ## format, lint, types and the fast tests: a minute or two
	$(PYTEST) $(TOGETHER) $(wildcard tests/unit tests/property tests/golden tests/verdicts)

lint: dev
	$(IN)/ruff format --check $(SOURCES)
	$(IN)/ruff check $(SOURCES)
	$(IN)/mypy

parts:
	@$(if $(T),,scripts/install-test-parts)

test: dev parts ## run the whole suite, or a part: make test T=tests/unit
ifneq ($(T),)
	$(PYTEST) $(T)
else
	failed=0; \
	$(PYTEST) $(TOGETHER) $(addprefix --ignore=,$(ALONE)) || failed=$$?; \
	$(PYTEST) $(ALONE) || failed=$$?; \
	exit $$failed
endif

SECONDS_EACH ?= 8

fuzz: dev ## fuzz what reads bytes of agents and upstreams, some seconds each (with atheris, if it is in .venv)
	$(IN)/python fuzz/run.py --seconds $(SECONDS_EACH)

demo: run-time ## watch an agent work, then try to break out
	@$(IN)/python demo/run.py

golden: dev ## write the golden outputs anew, for review with git diff
	$(PYTEST) tests -k golden --refresh-golden
	git --no-pager diff --stat -- tests/golden

contain: dev ## attack the boundary on this machine
	$(IN)/ringfence verify
	$(if $(wildcard tests/containment),$(PYTEST) tests/containment)

bench: dev ## measure start, memory, scan, review and the gate beside its peers
	$(IN)/python benchmarks/start.py
	$(IN)/python benchmarks/pool.py
	$(IN)/python benchmarks/scan.py
	$(IN)/python benchmarks/overlay.py
	$(IN)/python benchmarks/diff.py
	$(IN)/python benchmarks/apply.py
	$(IN)/python benchmarks/gate.py

docs: dev ## write the generated pages anew
	$(IN)/ringfence policy schema > docs/policy.schema.json

lock: ## pin the dependencies anew (needs uv)
	scripts/lock

clean: ## remove what the targets made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage src/*.egg-info
