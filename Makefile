# An active virtual environment is used; otherwise .venv, made where it is missing.
PYTHON ?= python3
VENV := $(or $(VIRTUAL_ENV),.venv)
BIN := $(VENV)/bin

.PHONY: inpaint test test-slow quality format

inpaint: $(VENV)/.edgeconnect
	$(BIN)/edgeconnect inpaint examples/facade.jpg examples/facade_mask.png -o repaired.png
	@echo "The signs of examples/facade.jpg are gone: see repaired.png"

# Two workers of one thread each; files stay together, as they share what is costly to set up.
test: $(VENV)/.edgeconnect-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

test-slow: $(VENV)/.edgeconnect-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow

quality: $(VENV)/.edgeconnect-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy edgeconnect_hf

format: $(VENV)/.edgeconnect-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.edgeconnect: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.edgeconnect-dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable ".[train,onnx,dev]"
	@touch $@ $(VENV)/.edgeconnect
