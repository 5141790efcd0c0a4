# Each target first sets up what it needs. LESSON, SCALE and SEEDS choose; `make help` lists.
# (Works with the old make of macOS: no .ONESHELL, no grouped targets.)
LESSON ?= 03
SCALE ?= desktop
SEEDS ?= 1
BENCH ?= training inference tiles dense_twin elastic reading surface dice weight_map start
VENV ?= .venv
PYTHON ?=

BIN := $(VENV)/bin
READY := $(VENV)/.ready
PEERS := .venv-peers
# A lesson whose kernel hangs must not hold a test run for ever; macOS has no `timeout`.
LIMIT := $(if $(shell command -v timeout 2>/dev/null),timeout 900)

FITS := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
FITS_TFA := import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 11))

.PHONY: help lesson lab test lint notebooks results backends pythons tfa bench clean
.DEFAULT_GOAL := help

help:
	@echo "make lesson [LESSON=03] [SCALE=smoke|desktop|paper]   run a lesson and judge its claims"
	@echo "make lab                                              open the course in JupyterLab"
	@echo "make test                                             all tests, lessons included"
	@echo "make lint                                             check form and imports"
	@echo "make notebooks                                        write the notebooks of changed sources"
	@echo "make results [LESSON=03] [SEEDS=1]                    measure a lesson's claims on real sets"
	@echo "make backends                                         compare JAX and PyTorch with TensorFlow"
	@echo "make pythons                                          all tests under each Python found here"
	@echo "make tfa                                              compare with real tensorflow-addons"
	@echo "make bench [BENCH='training tiles']                   time the package beside its peers"
	@echo "make clean                                            remove environments and what runs left"

lesson: $(READY)
	@$(BIN)/medseg lesson $(LESSON) --scale $(SCALE)

lab: $(READY)
	@$(BIN)/jupyter lab notebooks

test: $(READY)
	@$(BIN)/python -m pytest -n 2 --dist loadfile
	@MEDSEG_SCALE=smoke $(LIMIT) $(BIN)/python -m pytest -W ignore --nbval-lax --nbval-cell-timeout=120 \
		notebooks/solutions

lint: $(READY)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

notebooks: $(READY)
	@$(BIN)/python -m medseg_tf.lesson.notebook

results: $(READY)
	@$(BIN)/python experiments/$(LESSON)_*.py --seeds $(SEEDS)

backends: $(READY)
	@bash tests/lanes/backends.sh

pythons:
	@bash tests/lanes/pythons.sh

# tensorflow-addons has no wheel for another Python; without one there is nothing to compare.
tfa: $(READY)
	@set -e; \
	for python in python3.11 "$$HOME"/.pyenv/versions/3.11*/bin/python3.11 none; do \
		$$python -c '$(FITS_TFA)' >/dev/null 2>&1 && break; \
	done; \
	if [ $$python = none ]; then echo "SKIPPED: tfa: no Python 3.11 was found."; exit 0; fi; \
	if [ ! -e .venv-tfa/.ready ] || [ requirements-tfa.txt -nt .venv-tfa/.ready ]; then \
		echo "Setting up .venv-tfa with $$($$python --version): two minutes."; \
		$$python -m venv --clear .venv-tfa; \
		if ! .venv-tfa/bin/python -m pip install -q --disable-pip-version-check \
			-r requirements-tfa.txt; then \
			echo "SKIPPED: tfa: requirements-tfa.txt could not be installed."; exit 0; \
		fi; \
		touch .venv-tfa/.ready; \
	fi; \
	new=$$(mktemp -d); trap 'rm -rf "$$new"' EXIT; \
	.venv-tfa/bin/python tests/addons/make_arrays.py write "$$new/tfa.npz"; \
	$(BIN)/python tests/addons/make_arrays.py compare "$$new/tfa.npz" medseg_tf/addons/tfa.npz; \
	$(BIN)/python -m pytest -q tests/addons

# One comparison after the other, for each wants the machine to itself.
bench: $(READY) $(PEERS)/.ready
	@set -e; for name in $(BENCH); do $(BIN)/python benchmarks/$$name.py; done
	@$(BIN)/python benchmarks/table.py

clean:
	rm -rf $(VENV) .venv-* build *.egg-info notebooks/executed .pytest_cache .hypothesis .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An interpreter that is only a shim, or has no venv module, is passed over.
$(READY): pyproject.toml
	@set -e; \
	for python in $(PYTHON) $(BIN)/python python3.13 python3.12 python3.11 python3 none; do \
		$$python -c '$(FITS)' >/dev/null 2>&1 && break; \
	done; \
	if [ $$python = none ]; then \
		echo "No Python 3.11, 3.12 or 3.13 with its venv module was found. Install one (on Debian" \
			"and Ubuntu also python3-venv), or name it: make PYTHON=/path/to/python3.12 ..."; \
		exit 5; \
	fi; \
	build=cpu; \
	if [ "$$(uname -s)" = Darwin ]; then build=tensorflow; fi; \
	if nvidia-smi >/dev/null 2>&1; then build=gpu; fi; \
	echo "Setting up $(VENV) with $$($$python --version) and TensorFlow [$$build]: about a minute."; \
	[ $$python = $(BIN)/python ] || $$python -m venv --clear $(VENV); \
	if command -v uv >/dev/null; then install="uv pip install --python $(BIN)/python"; \
	else install="$(BIN)/python -m pip install --disable-pip-version-check"; fi; \
	$$install -q -e ".[$$build,course,test]"; \
	touch $@

$(PEERS)/.ready: benchmarks/requirements-peers.txt | $(READY)
	@echo "Setting up $(PEERS) with the libraries that ours is timed beside: some minutes."
	@$(BIN)/python -m venv --clear $(PEERS)
	@$(PEERS)/bin/python -m pip install -q --disable-pip-version-check -r $<
	@touch $@
