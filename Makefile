# Everything works from a fresh clone: each target first makes the environment it needs.
PYTHON ?= python3
VENV := .venv

.PHONY: help quickstart test lint format docs notebook clean

help:
	@echo "make quickstart  compare supervised contrastive learning with cross-entropy (3 minutes)"
	@echo "make test        run all tests"
	@echo "make lint        check style, formatting (make format mends them) and types"
	@echo "make docs        build the documentation in build/site"
	@echo "make notebook    write the Colab notebook from its script"
	@echo "make clean       remove the environment and build files"

$(VENV)/installed: pyproject.toml supcon_tf/_version.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "Python 3.10 or newer is needed: make PYTHON=python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --editable ".[experiments,test]"
	@touch $@

quickstart: $(VENV)/installed
	$(VENV)/bin/python -m experiments.quickstart

test: $(VENV)/installed
	$(VENV)/bin/python -m pytest

lint: $(VENV)/installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: $(VENV)/installed
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

$(VENV)/docs-installed: $(VENV)/installed
	$(VENV)/bin/python -m pip install --quiet --editable ".[docs]"
	@touch $@

# Strict: a broken link is an error; so is a formula left as it was typed.
docs: $(VENV)/docs-installed
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --quiet
	@! grep --recursive --include='*.html' 'class="arithmatex"' build/site
	@echo "build/site/index.html"

notebook: $(VENV)/installed
	$(VENV)/bin/jupytext --to notebook experiments/colab_tpu.py

clean:
	rm -rf $(VENV) build *.egg-info
