# `make demo` and `make test` need nothing but make and Python 3.10 or newer; run `make` for the list of targets.
PYTHON ?= python3
DATA ?= ../shared/data
PATCHES ?= .cache/patches
# What of DATA has programs and what a model repaired them to, has published fixes, and has references that get bugs.
REPAIRED_SAMPLES := ldb chatgpt_leetcode lats
REPAIRS := debugbench condefects humanevalfix pylib_history thealgorithms_history
REFERENCES := exercism p3 mbpppro humanevalpro pylib thealgorithms codecontests2
VENV := .venv
BIN := $(VENV)/bin

# pip reads these too: the build backend is pinned like everything else, and no newer pip is advertised.
export PIP_CONSTRAINT := constraints.txt
export PIP_BUILD_CONSTRAINT := constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

PIP_INSTALL := $(BIN)/python -m pip install --constraint constraints.txt
NEEDS_PYTHON := import sys; sys.exit("risk-lsp needs Python 3.10 or newer, this is %d.%d; name another: make PYTHON=python3.12" \
	% sys.version_info[:2] if sys.version_info < (3, 10) else 0)

.PHONY: FORCE help demo test lint types unit patches figures report bench fuzz soak faults test-editors test-vscode test-neovim test-emacs test-helix editor-pictures vsix packages picture clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' Makefile

demo: $(VENV)/installed ## install, then show where to look in examples/
	$(BIN)/risk-lsp check examples --place generated

test: lint types unit ## install what tests need, then lint, strict types and all tests

lint: $(VENV)/installed-dev ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed-dev ## mypy --strict
	$(BIN)/mypy

unit: $(VENV)/installed-dev ## all tests, two files at a time; what fails beside others has to pass alone
	$(BIN)/pytest --numprocesses 2 --dist loadfile || \
		{ test $$? -eq 1 && $(BIN)/pytest --last-failed --last-failed-no-failures none; }  # 1: all ran, and some failed

patches: $(PATCHES)/index.json ## labelled programs from benchmarks/labels and the programs in DATA; `make patches CHECK=yes` runs every patch again (hours)

figures: $(PATCHES)/index.json ## measure the default bundle again: manifest, README, plot
	$(BIN)/risk-lsp probe evaluate probe_weights/default --data $(PATCHES) --per-group 2 --update --readme README.md \
		--plot docs/images/reliability.png

report: $(PATCHES)/index.json ## the whole evaluation again: docs/evaluation.md (hours)
	$(BIN)/risk-lsp evaluate docs --data $(PATCHES) --per-group 2 --resamples 500 --members 1 --texts 60 \
		--samples $(DATA)/samples_*.jsonl.xz --attempts benchmarks/attempts.json --bugs $(DATA) --cache .cache/features

bench: $(VENV)/installed-dev ## measure speed and memory: one table, and files in .cache/bench (about ten minutes on a quiet machine)
	$(BIN)/python -m benchmarks.bench --out .cache/bench
	$(BIN)/python -m benchmarks.decoder --out .cache/bench

fuzz: $(VENV)/installed-dev ## fuzzers at full length: 100,000 edits, 10,000 messages, 2,000 damaged inputs (minutes)
	$(BIN)/python -m tests.attacks.fuzz_documents
	$(BIN)/python -m tests.attacks.fuzz_sessions
	$(BIN)/python -m tests.attacks.fuzz_writing
	$(BIN)/python -m tests.attacks.fuzz_bytes

soak: $(VENV)/installed-dev ## two minutes of typing at human speed: memory, stale diagnostics, idle CPU (MINUTES=60 for an hour)
	$(BIN)/python -m benchmarks.soak --minutes $(or $(MINUTES),2)

faults: $(VENV)/installed-dev ## every fault and what came of it, at full length (minutes)
	$(BIN)/python -m benchmarks.faults --long

test-editors: test-vscode test-neovim test-emacs test-helix ## tests in real editors (installs them into .cache; needs Debian and root)

test-vscode test-neovim test-emacs test-helix: test-%: $(VENV)/installed-dev
	tests/editors/$*/run

editor-pictures: ## take the READMEs' pictures of editors from the last run of make test-editors
	$(MAKE) -C editors/vscode picture
	cp .cache/editors/artefacts/neovim-0.12-dark-line.svg editors/neovim/images/heatmap.svg
	cp .cache/editors/artefacts/neovim-repair.svg editors/neovim/images/repair.svg
	cp .cache/editors/artefacts/neovim-0.12-writing.svg editors/neovim/images/writing.svg
	mkdir -p editors/emacs/images editors/helix/images
	cp .cache/editors/artefacts/emacs.svg editors/emacs/images/emacs.svg
	cp .cache/editors/artefacts/helix.svg editors/helix/images/helix.svg

vsix: ## build the VS Code extension (needs npm)
	$(MAKE) -C editors/vscode check vsix

packages: $(VENV)/installed ## build the wheel, and a VS Code extension that carries it (needs npm)
	rm -rf dist && $(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	$(MAKE) -C editors/vscode vsix with-server WHEEL=$$(echo $(CURDIR)/dist/*.whl)

picture: $(VENV)/installed ## make the README's picture again
	$(BIN)/risk-lsp check examples/interval_merging.py --place generated --format svg > docs/images/check.svg

clean: ## remove what make and the tools made
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(PATCHES)/index.json: $(wildcard benchmarks/labels/*.jsonl.xz) $(if $(CHECK),FORCE) | $(VENV)/installed-dev
	@test -d $(DATA) || { echo "$(DATA) is not there: name the folder of problems and programs, make DATA=FOLDER" >&2; exit 2; }
	@mkdir -p $(PATCHES)
	$(BIN)/risk-lsp corpus programs $(PATCHES)/library.jsonl.xz
	$(BIN)/risk-lsp patches build $(PATCHES) --problems $(DATA)/problems_*.jsonl.xz \
		--samples $(DATA)/samples_*.jsonl.xz $(addprefix $(DATA)/repairs_,$(addsuffix .jsonl.xz,$(REPAIRED_SAMPLES))) \
		--verdicts $(DATA)/verdicts_lcb_o1.jsonl.xz \
		--repairs $(addprefix $(DATA)/repairs_,$(addsuffix .jsonl.xz,$(REPAIRS))) \
		--references $(addprefix $(DATA)/problems_,$(addsuffix .jsonl.xz,$(REFERENCES))) \
		--known benchmarks/labels $(if $(CHECK),--per-problem 0,--trust-known) --max-share 0.62
	@touch $@

FORCE:

# The stamps make a second run set up in no time: pip runs again only when a requirement changed.
$(VENV)/installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing risk-lsp into $(VENV) (the first time this takes some minutes) ..."
	$(PIP_INSTALL) --editable .
	@touch $@

$(VENV)/installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing risk-lsp and what its tests need into $(VENV) (the first time this takes some minutes) ..."
	$(PIP_INSTALL) --editable '.[dev]'
	@touch $@ $(VENV)/installed

$(BIN)/python:
	@$(PYTHON) -c '$(NEEDS_PYTHON)'
	@echo "Creating $(VENV) ..."
	$(PYTHON) -m venv $(VENV)
