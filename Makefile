# make up    set-up and the whole suite running on the embedded exchange
# make test  set-up and the tests
# PYTHON=…   the interpreter the venv is made with (3.11 or newer)

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
EXTRAS ?= fast
SOURCES := pyproject.toml ops/setup.py $(shell find libchronicle services -name '*.py' -o -name '*.pyx' -o -name '*.pxd' \
	-o -name '*.pyi' -o -name '*.c' -o -name '*.h' -o -name '*.xml')

.PHONY: native help up down status test test-machine proof lint typecheck build dev bench clean
.DELETE_ON_ERROR:

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile
	@echo "make down    stop the suite        make status  how it is"
	@echo "make lint    ruff, import-linter, mypy, pyright"
	@echo "make proof   the long versions of the proofs in tests/proof (at most 75 minutes on 2 cores)"
	@echo "make test-machine   the units on a machine that systemd boots (root)"
	@echo "make native  the queues as a C library, in build/native"
	@echo "make bench   all benchmarks        make clean   remove what was built"

$(VENV)/.created: deploy/requirements.lock
	@sh ops/prerequisites.sh $(PYTHON)
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade pip 'setuptools>=77' wheel 'Cython>=3.1,<4'
	$(PIP) install -r deploy/requirements.lock
	@touch $@

dist/.built: $(VENV)/.created $(SOURCES)
	@echo "building Chronicle: some minutes without a word"
	@mkdir -p dist; rm -f dist/*.whl
	$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .
	@touch $@

# The extension modules are also laid beside their sources, so that a script run from the checkout finds them.
$(VENV)/.installed: dist/.built
	$(PIP) install --no-deps --force-reinstall dist/libchronicle-*.whl
	@cd "$$($(BIN)/python -P -c 'import os, libchronicle; print(os.path.dirname(libchronicle.__path__[0]))')" && \
		find libchronicle -name '*.so' -exec cp --parents --target-directory "$(CURDIR)" {} +
	@touch $@

$(VENV)/.dev: $(VENV)/.installed pyproject.toml
	$(PIP) install --constraint deploy/requirements.lock "$$(ls dist/libchronicle-*.whl)[dev,$(EXTRAS)]"
	@touch $@

build: $(VENV)/.installed

dev: $(VENV)/.dev

up: build
	@$(BIN)/chronicle up

down:
	@$(BIN)/chronicle down

status:
	@$(BIN)/chronicle status

# Two files at a time: much of a test is waiting. In the order of their names, since by the number of tests in each the longest come last, when there is nothing
# to run beside them. JOBS=0: one after the other.
JOBS ?= 2

test: dev
	$(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

# Installs the wheel on a machine booted by systemd-nspawn, units and all; as root, with systemd-container and dbus installed.
test-machine: dev
	$(BIN)/pytest -m nspawn tests/deploy

# The same tests as in `make test`, with thousands of kills, power cuts and steps; prints a table of what was done. PROOF=tests/proof/test_x.py: that one.
PROOF ?= tests/proof

proof: dev
	CHRONICLE_PROOF=long $(BIN)/pytest -v -rA --capture=fd $(PROOF)

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

# The queues for other languages: libchronicle.a, libchronicle.so and chronicle.h in build/native.
native: build
	@$(BIN)/chronicle native --build build/native

bench: build
	@for name in $$($(BIN)/chronicle bench --list); do $(BIN)/chronicle bench $$name --json | tail -n 1; done

clean:
	rm -rf build dist $(VENV) *.egg-info
	find libchronicle -name '*.so' -delete
