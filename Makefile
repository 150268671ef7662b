# Two commands carry everything: `make demo` and `make test`. Each makes .venv from pinned versions first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test fast check leaderboard docs clean

demo: $(STAMP)
	$(BIN)/efficient360 evaluate digits-vit --dataset digits --out runs/demo

test: $(STAMP)
	$(BIN)/python -m pytest

fast: $(STAMP)
	$(BIN)/python -m pytest -m "not slow"

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

# The committed board of the embedded zoo, quick protocol: its outcomes and its page.
ZOO := digits-vit digits-vit-reg digits-swin digits-hybrid
leaderboard: $(STAMP)
	for name in $(ZOO); do $(BIN)/efficient360 evaluate $$name --dataset digits --out leaderboards/digits/$$name || exit 1; done
	rm -f leaderboards/digits/*/report.html  # 5 MB each: efficient360 report leaderboards/digits/NAME draws one again
	$(BIN)/efficient360 leaderboard build $(ZOO:%=leaderboards/digits/%) --out leaderboards/digits

docs: $(STAMP)
	$(BIN)/mkdocs build --strict

$(STAMP): pyproject.toml constraints.txt scripts/litert-converter.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,docs,runtimes,npu,robustness]'
	$(BIN)/pip install --quiet --no-deps --requirement scripts/litert-converter.txt
	@touch $@

clean:
	rm -rf $(VENV) runs site
