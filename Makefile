# preop: everything a person does from a fresh clone. Needs Python 3.11 or newer with venv, git and make.
#
#   make               set everything up in .venv
#   make demo          phantom patient → DICOM → segmentation → meshes → tissue simulation → pictures and report
#   make test          checks of style, types and architecture, then the whole test suite, WORKERS files at a time
#   make test-quick    the tests that take seconds
#   make lint          the checks alone
#   make bench         every stage timed on phantom and real scan
#   make constraints   pin the newest versions that pyproject.toml allows
#   make clean         remove what was made, except .venv (make distclean removes that too)
#
# PYTHON=…  which Python to use        EXTRAS=viewer,xr,dev,gpu  which extras to install
# PYTEST_ARGS=…, BENCH_ARGS=…  passed on   SYSTEM_LIBRARIES=no      leave the system's packages alone

SHELL := /bin/sh
.DEFAULT_GOAL := setup

VENV := .venv
BIN := $(VENV)/bin
EXTRAS ?= viewer,xr,dev
comma := ,
# One stamp per choice of extras: asking for another choice sets up again.
STAMP := $(VENV)/.set-up-$(subst $(comma),-,$(EXTRAS))
SYSTEM_LIBRARIES ?= install
PYTEST_ARGS ?=
# A file of tests stays in one process: what it makes once, it makes once. Files start in the order of tests/conftest.py.
WORKERS ?= 2
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
BENCH_ARGS ?=
DEMO_SCENE ?= liver-retraction
DEMO ?= out/demo
export PYTHON EXTRAS

.PHONY: setup demo test test-quick lint format bench constraints system-libraries clean distclean

# A stamp says nothing of a Python that was moved or upgraded since: then .venv is made anew.
ifneq ($(wildcard $(STAMP)),)
ifneq ($(shell $(BIN)/python -c 'print(1)' 2>/dev/null),1)
.PHONY: $(STAMP)
endif
endif

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt scripts/setup.sh scripts/find_python.sh scripts/system_libraries.py
	@sh scripts/setup.sh
	@$(BIN)/python scripts/system_libraries.py $(SYSTEM_LIBRARIES)
	@touch $@

system-libraries: $(STAMP)
	@$(BIN)/python scripts/system_libraries.py $(SYSTEM_LIBRARIES) --viewer

demo: setup
	$(BIN)/preop run $(DEMO_SCENE) --out $(DEMO) --overwrite
	@echo "Open $(DEMO)/report.html in a browser, or: $(BIN)/preop view $(DEMO)"

test: setup lint
	$(PYTEST) $(PYTEST_ARGS)

test-quick: setup
	$(PYTEST) -m "not slow" $(PYTEST_ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/basedpyright

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup
	$(BIN)/python benchmarks/help_speed.py
	$(BIN)/python benchmarks/pipeline.py $(BENCH_ARGS)

constraints:
	@sh scripts/constraints.sh

clean:
	rm -rf build dist $(DEMO) *.egg-info .pytest_cache .ruff_cache .import_linter_cache
	find imaging meshing engine scenes xr scripts tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)
