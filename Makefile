# Every target makes or refreshes .venv by itself; a second call starts at once.
# On Windows, or with an environment of your own, see README.md, "Without make".
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test slow lint bench docs dist release-check clean

demo: .venv/ready
	$(BIN)/cimlab demo

# on up to four cores; neither `cimlab` processes nor the tests left out are measured
test: .venv/ready
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist worksteal --cov --cov-report term

# what `test` leaves out because it takes minutes
slow: .venv/ready
	$(BIN)/python -m pytest -m slow

lint: .venv/ready .types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	MYPYPATH=.types $(BIN)/mypy --strict -p cimlab
	cd .types && ../$(BIN)/lint-imports --config ../pyproject.toml --no-cache

# minutes each; docs/results.md has the command of every figure
bench: .venv/ready
	$(BIN)/python benchmarks/bench.py
	$(BIN)/python benchmarks/link_overhead.py
	$(BIN)/python benchmarks/lenet_seeds.py

docs: .venv/docs .types
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

# wheel and sdist, checked, and the demo out of the wheel beside the packages of .venv
dist: .venv/release
	rm -rf dist build/wheel
	$(BIN)/python -m build --no-isolation --outdir dist
	$(BIN)/twine check --strict dist/*
	$(BIN)/python -m pip install --quiet --no-deps --target build/wheel dist/*.whl
	cd build && PYTHONPATH=wheel ../$(BIN)/python wheel/bin/cimlab demo

# the same wheel where nothing else is installed: minutes, and 2 GB from the network
release-check: dist
	$(PYTHON) -m venv --clear build/empty
	build/empty/bin/python -m pip install --quiet -c constraints.txt dist/*.whl
	cd build && empty/bin/cimlab demo

clean:
	rm -rf .venv .types build dist cimlab.egg-info .coverage

.venv/ready: pyproject.toml constraints.txt
	@echo 'Making the environment in .venv: about 2 GB and some minutes, once.'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) -e '.[dev,gui]'
	touch $@

.venv/docs: .venv/ready
	$(INSTALL) -e '.[docs]'
	touch $@

.venv/release: .venv/ready
	$(INSTALL) -e '.[release]'
	touch $@

# The packages as they are once installed, as links: linters do not see the mapping of folders to
# import names (pyproject.toml, package-dir) of an editable installation.
.PHONY: .types
.types:
	rm -rf .types && mkdir -p .types/cimlab
	cd .types/cimlab && ln -s ../../cimlab/* ../../drivers ../../gui ../../mock_hw ../../protocols .
