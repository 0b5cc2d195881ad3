# An active virtual environment is used; otherwise .venv, made where it is missing.
PYTHON ?= python3
VENV := $(or $(VIRTUAL_ENV),.venv)
BIN := $(VENV)/bin

.PHONY: inpaint test test-slow fuzz rehearse provenance docs chromium quality format

inpaint: $(VENV)/.edgeconnect
	$(BIN)/edgeconnect inpaint examples/facade.jpg examples/facade_mask.png -o repaired.png
	@echo "The signs of examples/facade.jpg are gone: see repaired.png"

# Two workers of one thread each; files stay together, as they share what is costly to set up.
test: $(VENV)/.edgeconnect-dev chromium
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

test-slow: $(VENV)/.edgeconnect-dev chromium
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow

# Random photos, masks and options; MINUTES=60 for longer.
MINUTES ?= 10
fuzz: $(VENV)/.edgeconnect-dev
	OMP_NUM_THREADS=1 $(BIN)/python tests/fuzz/run.py --minutes $(MINUTES)

# A release without uploads: wheel, index, push, pull and Space, all on this machine.
rehearse: $(VENV)/.edgeconnect-dev
	$(BIN)/python tests/rehearse.py

# Where every committed picture comes from; fails where one cannot be traced to the training data's manifest.
provenance: $(VENV)/.edgeconnect-dev
	@$(BIN)/python training/data/provenance.py

# The pages of docs/ as a site in build/site; a warning is an error. The notice is of mkdocs-material's successor.
docs: $(VENV)/.edgeconnect-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

# The page's tests drive the system's browser; without one they are skipped, and say so.
chromium:
	@if ! { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium \
				|| echo "Chromium could not be installed: the page's tests are skipped."; \
		else echo "No Chromium: the page's tests are skipped. Install it with: apt-get install chromium"; fi; fi

quality: $(VENV)/.edgeconnect-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy edgeconnect_hf training space benchmarks
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory node_modules && npm run --silent check; \
		else echo "No npm: the demo's JavaScript is not checked."; fi

# What checks the demo's JavaScript, and axe-core for its tests. Nothing of it is shipped.
node_modules: package.json
	npm install --no-package-lock --no-audit --no-fund --silent
	@touch node_modules

format: $(VENV)/.edgeconnect-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.edgeconnect: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.edgeconnect-dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable ".[demo,heif,train,onnx,docs,dev]"
	@touch $@ $(VENV)/.edgeconnect
