# Needs only make and Python 3.11 or newer. Every target sets up .venv by itself.
PYTHON ?= python3
VENV := .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
READY := $(VENV)/.ready
REQUIREMENTS := requirements.txt requirements-dev.txt constraints.txt

.DEFAULT_GOAL := help
.PHONY: help setup run test test-floor site bench lab notebooks clean

help:  ## show this list
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/: .*## /:/' | awk -F: '{ printf "  make %-10s %s\n", $$(NF-1), $$NF }'

setup: $(READY)  ## make .venv with everything the course needs

run: $(READY)  ## run the course, write a report to build/run
	$(BIN)/python -m tools.notebooks run

test: $(READY)  ## run all checks and tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m tools.notebooks check
	$(BIN)/python -m pytest --nbval-lax --nbval-current-env --ignore=notebooks/exercises tests notebooks

test-floor: $(READY)  ## the tests and lessons 00 to 03 with Colab's releases, in .venv-floor
	$(BIN)/python -m tools.floor .venv-floor

site: $(READY)  ## build the course as a site, in build/site
	$(BIN)/python -m tools.site

bench: $(READY)  ## time three ways to fine-tune, and how time and memory grow; about an hour
	$(BIN)/python -m benchmarks.finetune
	$(BIN)/python -m benchmarks.scaling

lab: $(READY)  ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab notebooks

notebooks: $(READY)  ## rebuild the notebooks whose source changed
	$(BIN)/python -m tools.notebooks build

clean:  ## remove .venv and what runs wrote into the repository
	rm -rf $(VENV) .venv-floor build .pytest_cache .ruff_cache

# A set-up that was interrupted left no .ready, so it starts afresh; one that is out of date is brought up to date.
$(READY): $(REQUIREMENTS)
	@$(PYTHON) -c 'import sys; sys.exit("This is Python %d.%d; the course needs 3.11 or newer. Try: make PYTHON=python3.12" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@if [ -f $(READY) ]; then rm $(READY); else rm -rf $(VENV) && $(PYTHON) -m venv $(VENV); fi
	@echo "Installing the course into $(VENV); the first time takes a few minutes."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt -c constraints.txt
	@touch $(READY)
