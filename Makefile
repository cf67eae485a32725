# Needs only make and Python 3.11 or newer. Every target sets up .venv by itself.
PYTHON ?= python3
VENV := .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
READY := $(VENV)/.ready
MARKER := .transfer-learning-nlp
ifneq ($(OS),Windows_NT)
MOVED := $(if $(wildcard $(READY)),$(shell grep -qsF '$(CURDIR)/$(VENV)' $(BIN)/activate || echo moved))
endif
NOTEBOOKS := notebooks/[0-9][0-9]_*.ipynb notebooks/deeper/*.ipynb
# Each file stays with one of two processes; tests that look at the clock run alone afterwards.
TWO_AT_A_TIME := -n 2 --dist loadscope --no-loadscope-reorder --continue-on-collection-errors
REQUIREMENTS := requirements.txt requirements-dev.txt constraints.txt

.DEFAULT_GOAL := help
.PHONY: help setup run test test-floor site bench lab notebooks publish update clean
.PHONY: moved

help:  ## show this list
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/: .*## /:/' | awk -F: '{ printf "  make %-10s %s\n", $$(NF-1), $$NF }'

setup: $(READY)  ## make .venv with everything the course needs

run: $(READY)  ## run the course, write a report to build/run
	$(BIN)/python -m tools.notebooks run

test: $(READY)  ## run all checks and tests
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m tools.notebooks check
	$(BIN)/python -m pytest $(TWO_AT_A_TIME) -m "not alone" --nbval-lax --nbval-current-env $(NOTEBOOKS) tests
	$(BIN)/python -m pytest -m alone tests

test-floor: $(READY)  ## the tests and lessons 00 to 03 with the lowest releases, in .venv-floor
	$(BIN)/python -m tools.floor .venv-floor

site: $(READY)  ## build the course as a site, in build/site
	$(BIN)/python -m tools.site

bench: $(READY)  ## time three ways to fine-tune, three times each; hours, and it goes on after an interrupt
	$(BIN)/python -m benchmarks.finetune

lab: $(READY)  ## open the notebooks in JupyterLab
	$(BIN)/python -m jupyterlab notebooks

notebooks: $(READY)  ## rebuild the notebooks whose source changed
	$(BIN)/python -m tools.notebooks build

publish: $(READY)  ## give the course its public address (ADDRESS=…), without running anything
	$(BIN)/python -m tools.publish "$(ADDRESS)"

update:  ## keep your changed notebooks in my/, then get the newest lessons
	$(PYTHON) -m tools.update

clean:  ## remove .venv, reports and the site that make made; grades and models stay
	@for folder in $(VENV) .venv-floor build/run build/site build/site-pages; do \
	  if [ -f "$$folder/$(MARKER)" ]; then rm -rf "$$folder"; \
	  elif [ -e "$$folder" ]; then echo "$$folder stays: make did not make it. Remove it by hand."; fi; done
	@rm -rf build/site-doctrees build/upstream build/screenshots .pytest_cache .ruff_cache

# A .venv that make made and did not finish is made anew; one that was here before, by README's other way, is completed;
# after the course's folder was moved or renamed, its scripts learn the new path. Everything starts with `python -m`:
# the other scripts in .venv name the old one.
$(READY): $(REQUIREMENTS) $(MOVED)
	@$(PYTHON) -c 'import sys; sys.exit("This is Python %d.%d; the course needs 3.11 or newer. Try: make PYTHON=python3.12" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@if [ -f $(VENV)/$(MARKER) ] && [ ! -f $(READY) ]; then rm -rf $(VENV); fi
	@if [ -e $(VENV) ]; then \
	  $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "$(VENV) is here, but has no Python 3.11 or newer that runs. Move it away, then give the command again."; exit 1; }; \
	  [ -f $(READY) ] || echo "Completing the $(VENV) that is here."; \
	  $(if $(MOVED),$(BIN)/python -m venv $(VENV);) \
	else mkdir $(VENV) && echo "Made by make." > $(VENV)/$(MARKER) && $(PYTHON) -m venv $(VENV); fi
	@rm -f $(READY)
	@$(BIN)/python -m pip --version > /dev/null 2>&1 || $(BIN)/python -m ensurepip
	@echo "Installing the course into $(VENV); the first time takes a few minutes."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt -c constraints.txt
	@touch $(READY)

moved:
