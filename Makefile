# Everything works from a fresh clone: each target first makes the environment it needs.
PYTHON ?= python3
VENV := .venv

.PHONY: help quickstart test test-end-to-end test-all test-fast test-newest test-lowest test-lowest-short gpu-check gpu-tests lint format site docs notebooks dist clean

help:
	@echo "make quickstart         compare supervised contrastive learning with cross-entropy (3 minutes)"
	@echo "make test               run the tests of the library (10 minutes)"
	@echo "make test-end-to-end    train with the commands, the scripts and several replicas"
	@echo "make test-fast          run the tests of these two that are not slow (90 seconds)"
	@echo "make test-all           run all tests, with the examples of the documentation"
	@echo "make test-newest        all tests with the newest versions of all requirements"
	@echo "make test-lowest        the same with the lowest ones that pyproject.toml allows"
	@echo "make test-lowest-short  with these, only what versions change (3 minutes)"
	@echo "make gpu-check          run the tests that a GPU can change, if this machine has one"
	@echo "make lint               check style, formatting, types and imports (make format fixes the first two)"
	@echo "make site               build the documentation in build/site"
	@echo "make docs               build it, and run its examples"
	@echo "make notebooks          write the Colab notebooks from their scripts"
	@echo "make dist               build and check the wheel and the source distribution"
	@echo "make clean              remove the environments and build files"

EXTRAS := experiments,test,vit
REQUIREMENTS = --editable ".[$(EXTRAS)]"
.venv-lowest/installed: EXTRAS := experiments,test
.venv-lowest/installed: REQUIREMENTS += --constraint tests/lowest.txt
.venv-lowest/installed: tests/lowest.txt
.venv-gpu/installed: REQUIREMENTS += "tensorflow[and-cuda]"
.venv-dist/installed: REQUIREMENTS := build twine

%/installed: pyproject.toml supcon_tf/_version.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "Python 3.10 or newer is needed: make PYTHON=python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet $(REQUIREMENTS)
	@touch $@

quickstart: $(VENV)/installed
	$(VENV)/bin/python -m experiments.quickstart

# Whole trainings, most of them in processes of their own.
END_TO_END := tests/commands tests/experiments tests/replicas

test: $(VENV)/installed
	$(VENV)/bin/python -m pytest -m "not docs" $(END_TO_END:%=--ignore=%)

test-end-to-end: $(VENV)/installed
	$(VENV)/bin/python -m pytest -m "not docs" $(END_TO_END)

test-all: $(VENV)/docs-installed
	$(VENV)/bin/python -m pytest

test-fast: $(VENV)/installed
	$(VENV)/bin/python -m pytest -m "not slow and not docs"

test-newest: .venv-newest/installed
	.venv-newest/bin/python -m pip install --quiet --upgrade --upgrade-strategy=eager $(REQUIREMENTS)
	.venv-newest/bin/python -m pytest

test-lowest: .venv-lowest/installed
	.venv-lowest/bin/python -m pytest

test-lowest-short: .venv-lowest/installed
	.venv-lowest/bin/python -m pytest -m versions

# The environment contains CUDA, several gigabytes, so it is made only on a machine with a GPU.
gpu-check:
	@if nvidia-smi >/dev/null 2>&1; then $(MAKE) --no-print-directory gpu-tests; \
		else echo "skipped: nvidia-smi finds no GPU"; fi

# One process: TensorFlow takes nearly all of the memory of a GPU when it starts.
gpu-tests: .venv-gpu/installed
	@.venv-gpu/bin/python -c 'import sys, tensorflow as tf; \
		tf.config.list_physical_devices("GPU") or sys.exit("TensorFlow finds no GPU; nvidia-smi does.")'
	CUDA_VISIBLE_DEVICES=$${CUDA_VISIBLE_DEVICES:-0} .venv-gpu/bin/python -m pytest -m gpu --numprocesses=0

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
site: $(VENV)/docs-installed
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --quiet
	@echo "build/site/index.html"

docs: site
	$(VENV)/bin/python -m pytest -m docs

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
	rm -rf .venv .venv-newest .venv-lowest .venv-gpu .venv-dist .venv-wheel build dist *.egg-info
