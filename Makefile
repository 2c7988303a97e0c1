# Two commands do everything on a fresh machine with Python 3.11 or newer: make quickstart, make test.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: quickstart test quick lint shell clean

quickstart: .venv/run
	$(BIN)/fedtrial study quickstart

# A process per core; tests that share a Ray session or a costly fixture stay in one.
test: .venv/dev
	$(BIN)/python -m pytest -n auto --dist loadgroup

# What most changes break, in about a minute on two idle cores.
quick: .venv/dev
	$(BIN)/python -m pytest -n auto --dist loadgroup -m "not slow and not ray"

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "fedtrial needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv .venv
	touch $@

.venv/run: .venv/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

.venv/dev: .venv/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@ .venv/run

# A shell in which `fedtrial` is a command.
shell: .venv/run
	PATH="$(CURDIR)/$(BIN):$$PATH" $${SHELL:-sh}

clean:
	rm -rf .venv
