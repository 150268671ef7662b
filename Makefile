# `make demo` shows what the program does, `make test` that it does it right. Every target makes .venv from pinned versions first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help demo test test-all fast check format coverage docs architecture leaderboard clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(STAMP)  ## evaluate an embedded checkpoint on embedded data: runs/demo/report.html
	$(BIN)/efficient360 evaluate digits-vit --dataset digits --out runs/demo

test: $(STAMP)  ## the tests, without those that take minutes each
	$(BIN)/python -m pytest -m "not exhaustive"

test-all: $(STAMP)  ## all tests
	$(BIN)/python -m pytest

fast: $(STAMP)  ## the tests of a few seconds at most
	$(BIN)/python -m pytest -m "not slow and not exhaustive"

check: $(STAMP)  ## linter, format, types (tests included) and layers: what a commit must pass
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --numprocesses=0 tests/test_layers.py

format: $(STAMP)  ## format the code and mend what the linter can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

coverage: $(STAMP)  ## lines and branches that the fast tests execute
	$(BIN)/python -m pytest -m "not slow and not exhaustive" --cov --cov-report=term:skip-covered --cov-report=html:site/coverage

docs: $(STAMP)  ## the documentation as a site: site/docs
	$(BIN)/mkdocs build --strict

architecture: $(STAMP)  ## draw docs/architecture.svg from the imports
	$(BIN)/python scripts/draw_architecture.py

# The committed board of the embedded zoo, quick protocol: its outcomes and its page.
ZOO := digits-vit digits-vit-reg digits-swin digits-hybrid
leaderboard: $(STAMP)  ## measure the embedded zoo anew: leaderboards/digits (about ten minutes)
	for name in $(ZOO); do $(BIN)/efficient360 evaluate $$name --dataset digits --out leaderboards/digits/$$name || exit 1; done
	rm -f leaderboards/digits/*/report.html  # 5 MB each: efficient360 report leaderboards/digits/NAME draws one again
	$(BIN)/efficient360 leaderboard build $(ZOO:%=leaderboards/digits/%) --out leaderboards/digits

$(STAMP): pyproject.toml constraints.txt scripts/litert-converter.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,docs,runtimes,npu,robustness]'
	$(BIN)/pip install --quiet --no-deps --requirement scripts/litert-converter.txt
	@touch $@

clean:  ## remove .venv, runs and site
	rm -rf $(VENV) runs site
