# Everything works from a fresh clone: each target first makes the environment it needs.
PYTHON ?= python3
VENV := .venv

.PHONY: help quickstart test test-fast test-newest test-lowest test-lowest-short lint format docs notebooks dist clean

help:
	@echo "make quickstart         compare supervised contrastive learning with cross-entropy (3 minutes)"
	@echo "make test               run all tests"
	@echo "make test-fast          run the tests that are not slow, after every change (90 seconds)"
	@echo "make test-newest        all tests with the newest versions of all requirements"
	@echo "make test-lowest        the same with the lowest ones that pyproject.toml allows"
	@echo "make test-lowest-short  with these, only what versions change (3 minutes)"
	@echo "make lint               check style, formatting, types and imports (make format fixes the first two)"
	@echo "make docs               build the documentation in build/site"
	@echo "make notebooks          write the Colab notebooks from their scripts"
	@echo "make dist               build and check the wheel and the source distribution"
	@echo "make clean              remove the environments and build files"

REQUIREMENTS := --editable ".[experiments,test]"
.venv-lowest/installed: REQUIREMENTS += --constraint tests/lowest.txt
.venv-lowest/installed: tests/lowest.txt
.venv-dist/installed: REQUIREMENTS := build twine

%/installed: pyproject.toml supcon_tf/_version.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "Python 3.10 or newer is needed: make PYTHON=python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet $(REQUIREMENTS)
	@touch $@

quickstart: $(VENV)/installed
	$(VENV)/bin/python -m experiments.quickstart

test: $(VENV)/installed
	$(VENV)/bin/python -m pytest

test-fast: $(VENV)/installed
	$(VENV)/bin/python -m pytest -m "not slow"

test-newest: .venv-newest/installed
	.venv-newest/bin/python -m pip install --quiet --upgrade --upgrade-strategy=eager $(REQUIREMENTS)
	.venv-newest/bin/python -m pytest

test-lowest: .venv-lowest/installed
	.venv-lowest/bin/python -m pytest

test-lowest-short: .venv-lowest/installed
	.venv-lowest/bin/python -m pytest -m versions

lint: $(VENV)/installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

format: $(VENV)/installed
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

$(VENV)/docs-installed: $(VENV)/installed
	$(VENV)/bin/python -m pip install --quiet --editable ".[docs]"
	@touch $@

# Strict: a broken link is an error; so is a formula left as it was typed (docs/formulas.py).
docs: $(VENV)/docs-installed
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --quiet
	@echo "build/site/index.html"

notebooks: $(VENV)/installed
	$(VENV)/bin/jupytext --to notebook experiments/colab_gpu.py experiments/colab_tpu.py

dist: .venv-dist/installed
	rm -rf build dist
	.venv-dist/bin/python -m build
	.venv-dist/bin/python -m twine check --strict dist/*
	.venv-dist/bin/python tests/distributions/check_contents.py
	$(PYTHON) -m venv --clear .venv-wheel
	.venv-wheel/bin/python -m pip install --quiet dist/*.whl
	.venv-wheel/bin/python -I tests/distributions/fit_once.py

clean:
	rm -rf .venv .venv-newest .venv-lowest .venv-dist .venv-wheel build dist *.egg-info
