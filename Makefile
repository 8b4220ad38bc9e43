# Two commands: `make demo` and `make test`. Both work from a bare checkout with python3 3.10 to 3.13.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PICKS ?= 20
SEED ?= 1

# Everything talks over the loopback only; rendering needs no screen.
export ROS_AUTOMATIC_DISCOVERY_RANGE := LOCALHOST
export MUJOCO_GL ?= osmesa

# $(call system_package,PACKAGE,WHAT): install a Debian package where we may, else say which one is missing.
define system_package
{ as_root=; [ "$$(id -u)" = 0 ] || as_root='sudo -n'; \
if command -v apt-get >/dev/null && $$as_root true 2>/dev/null; then \
	$$as_root apt-get update -qq && $$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y $(1); \
else \
	echo "Missing: $(2). Install the package $(1) (Debian, Ubuntu) and call make again." >&2; exit 1; \
fi; }
endef

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint clean

help:  ## Show this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

setup: $(VENV)/.installed $(VENV)/.osmesa  ## Make the virtual environment and install what is missing

demo: setup  ## Pick PICKS=20 times in simulation over real ROS topics, then show the report's path
	$(BIN)/posegrasp demo --picks $(PICKS) --seed $(SEED)

test: setup  ## Run all tests
	$(BIN)/python -m pytest -q

lint: setup  ## Check style
	$(BIN)/ruff check .

clean:  ## Remove the virtual environment and everything built
	rm -rf $(VENV) build install log *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: setup.py setup.cfg
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 10) <= v <= (3, 13) or sys.exit(f"$(PYTHON) is Python {v[0]}.{v[1]}; expected 3.10 to 3.13: make PYTHON=python3.12")'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { rm -rf $(VENV); $(PYTHON) -m ensurepip --version >/dev/null 2>&1 \
		|| $(call system_package,python3-venv,Python's venv); }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[ros,sim,dev]'
	$(BIN)/posegrasp check models/box >/dev/null  # compiles what is compiled once
	@touch $@

# MuJoCo renders without a screen through OSMesa, a system library.
$(VENV)/.osmesa: $(VENV)/.installed
	@[ "$(MUJOCO_GL)" != osmesa ] || $(BIN)/python -c 'import ctypes.util, sys; sys.exit(not ctypes.util.find_library("OSMesa"))' \
		|| $(call system_package,libosmesa6,OSMesa; with a GPU make MUJOCO_GL=egl does without)
	@touch $@
