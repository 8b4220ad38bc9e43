# Two commands: `make demo` and `make test`. Both work from a bare checkout with python3 3.10 to 3.13.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PICKS ?= 20
SEED ?= 1
TESTS ?= test
JOBS ?= 2
MINUTES ?= 1
# Versions to install: the lock, made by `make lock`. CONSTRAINTS=/dev/null takes the newest that setup.py allows,
# CONSTRAINTS=lowest.txt after `make lowest` the lowest.
CONSTRAINTS ?= constraints.txt

# The tests run on what users get: the wheel made from the source distribution, in an environment outside the
# checkout. The environment is made anew when setup.py or the lock changes; the wheel is built and installed every
# time.
CACHE := $(or $(XDG_CACHE_HOME),$(if $(HOME),$(HOME)/.cache),/tmp)
WHEEL_ENV ?= $(CACHE)/posegrasp_ros-test/$(shell echo '$(CURDIR)' | cksum | cut -d ' ' -f 1)
WHEEL_BIN := $(WHEEL_ENV)/bin
DEPENDENCIES := $(shell cat setup.py $(CONSTRAINTS) | cksum)

# Of what is compiled, the lowest version that has a wheel for this Python, not one that has to be built.
WHEELS_ONLY := numpy scipy numba llvmlite opencv-python-headless pillow lz4 pydantic-core pyyaml zstandard onnxruntime \
	mujoco coacd embreex manifold3d pin onnx pyarrow duckdb

# Everything talks over the loopback only; rendering needs no screen.
export ROS_AUTOMATIC_DISCOVERY_RANGE := LOCALHOST
export MUJOCO_GL ?= osmesa

# $(call system_package,PACKAGE,WHAT): install a Debian package where we may, else say which one is missing.
define system_package
{ as_root=; [ "$$(id -u)" = 0 ] || as_root='sudo -n'; \
if command -v apt-get >/dev/null && $$as_root true 2>/dev/null; then \
	$$as_root apt-get update -qq && $$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y $(1); \
else \
	echo "Missing: $(2). Install the package $(1) (Debian, Ubuntu) and run make again." >&2; exit 1; \
fi; }
endef

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast fuzz lint docs lock lowest clean python uv osmesa chromium wheel

help:  ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: $(VENV)/.installed osmesa  ## Create the virtual environment and install what is missing

demo: setup  ## Pick PICKS=20 times in simulation over real ROS topics, then show the report's path
	$(BIN)/posegrasp demo --picks $(PICKS) --seed $(SEED)

test: wheel osmesa chromium  ## Build and install the wheel, run all tests (or TESTS=test/test_x.py) on it in JOBS=2 processes
	cd $(WHEEL_ENV) && $(WHEEL_BIN)/pytest -q -n $(JOBS) --dist loadfile --config-file $(CURDIR)/pyproject.toml --rootdir $(CURDIR) \
		--installed $(abspath $(TESTS))

test-fast: setup  ## Run the tests (or TESTS=...) except the slow ones on the checkout in place; make test runs all
	$(BIN)/python -m pytest -q -m 'not slow' $(TESTS)

fuzz: setup  ## Feed damaged files and messages to every reader, MINUTES=1 of processor time each
	FUZZ_MINUTES=$(MINUTES) $(BIN)/python -m pytest -q test/test_fuzz_readers.py test/test_fuzz_files.py

lint: setup  ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: | python  ## Build the documentation into site/; any warning is an error
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 DISABLE_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --strict

lock: uv  ## Renew constraints.txt: the newest versions within the bounds of setup.py, for all Pythons
	$(BIN)/uv pip compile setup.py --extra ros --extra sim --extra fleet --extra dev --extra docs --universal \
		--python-version 3.10 --upgrade --no-annotate --custom-compile-command 'make lock' -q -o constraints.txt

lowest: uv  ## Write lowest.txt, the lowest versions that setup.py allows: then make test CONSTRAINTS=lowest.txt
	$(BIN)/uv pip compile setup.py --extra ros --extra sim --extra fleet --extra dev --python $(BIN)/python \
		--resolution lowest-direct $(WHEELS_ONLY:%=--only-binary %) --no-annotate -q -o lowest.txt

clean:  ## Remove the virtual environments and everything built
	rm -rf $(VENV) $(WHEEL_ENV) build dist install log site lowest.txt *.egg-info .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 10) <= v <= (3, 13) or sys.exit(f"$(PYTHON) is Python {v[0]}.{v[1]}; expected 3.10 to 3.13: make PYTHON=python3.12")'
	@$(PYTHON) -m ensurepip --version >/dev/null 2>&1 || $(call system_package,python3-venv,Python's venv)

uv: | python
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet 'uv>=0.5,<1'

$(VENV)/.installed: setup.py setup.cfg $(CONSTRAINTS) | python
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || rm -rf $(VENV)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) --editable '.[ros,sim,fleet,watch,dev]'
	$(BIN)/posegrasp check models/box >/dev/null  # compiles what is compiled once
	@touch $@

wheel: | python
	@[ "$$(cat $(WHEEL_ENV)/.dependencies 2>/dev/null)" = '$(DEPENDENCIES)' ] || rm -rf $(WHEEL_ENV)
	test -x $(WHEEL_BIN)/python || { $(PYTHON) -m venv $(WHEEL_ENV) && $(WHEEL_BIN)/python -m pip install --quiet build; }
	rm -rf *.egg-info $(WHEEL_ENV)/dist  # it lists files of former builds, which would be packed again
	$(WHEEL_BIN)/python -m build --outdir $(WHEEL_ENV)/dist >$(WHEEL_ENV)/build.log 2>&1 || { cat $(WHEEL_ENV)/build.log; exit 1; }
	test -e $(WHEEL_ENV)/.dependencies || $(WHEEL_BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) \
		"$$(echo $(WHEEL_ENV)/dist/*.whl)[ros,sim,fleet,dev]"
	$(WHEEL_BIN)/python -m pip install --quiet --force-reinstall --no-deps $(WHEEL_ENV)/dist/*.whl
	cd $(WHEEL_ENV) && $(WHEEL_BIN)/posegrasp check box >/dev/null  # compiles what is compiled once
	@echo '$(DEPENDENCIES)' >$(WHEEL_ENV)/.dependencies

# MuJoCo renders without a screen through OSMesa, a system library.
osmesa: | python
	@[ "$(MUJOCO_GL)" != osmesa ] || $(PYTHON) -c 'import ctypes.util, sys; sys.exit(not ctypes.util.find_library("OSMesa"))' \
		|| $(call system_package,libosmesa6,OSMesa; with a GPU make MUJOCO_GL=egl does without)

# The tests of pages use a browser; without it they are skipped.
chromium:
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit; done; \
		($(call system_package,chromium,Chromium)) || echo 'The tests of pages are skipped.' >&2
