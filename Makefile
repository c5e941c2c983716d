# Everything a developer or a build machine does, as targets. `make` alone lists them.
#
# Virtual environments (all ignored by git, none is ever deleted except by `make clean`):
#   .venv             to run it: the agent without torch, editable
#   .venv-agent       the agent's checks and tests, without torch, numpy 2, LiteRT
#   .venv-tflite      the agent's runtime tests on both runtimes, numpy 1 (Python 3.11 only)
#   .venv-converters  the converters' checks and tests, with a CPU build of torch
# A stamp file in each is compared with pyproject.toml: a changed dependency reinstalls.

PYTHON ?= python3
PYTEST_ARGS ?=
# Test processes side by side; 1 is easier to read when something fails.
TEST_JOBS ?= 2

# On x86-64 the plain torch wheel brings gigabytes of CUDA, so the CPU build is asked for by its
# local version. It is looked for in the package indexes that pip is configured with, then in
# PyTorch's own. Another build:  make test TORCH='torch==2.13.0' TORCH_PIP_ARGS=
TORCH ?= torch==2.13.0+cpu
TORCH_PIP_ARGS ?= --extra-index-url https://download.pytorch.org/whl/cpu

RUN_ENV := .venv
AGENT_ENV := .venv-agent
TFLITE_ENV := .venv-tflite
CONVERTERS_ENV := .venv-converters

AGENT_TESTS := tests/agent tests/system tests/packaging
CONVERTERS_TESTS := tests/converters

MACHINE := $(shell uname -m)
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
PIP := -m pip --disable-pip-version-check --no-input

# What `make run` needs from Debian: a Python that can make environments, and on 32-bit boards,
# where PyPI has no wheels of them, the compiled parts as Debian packages.
RUN_PACKAGES := $(shell $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv)
VENV_FLAGS :=
ifneq ($(filter armv7l armv6l,$(MACHINE)),)
RUN_PACKAGES += libsndfile1 python3-numpy python3-cffi
VENV_FLAGS := --system-site-packages
endif

# What the tests need: a broker and network namespaces; a sound library and a compiler to build
# the ALSA binding; the synthesisers, voices and word lists the converters learn from.
AGENT_PACKAGES := mosquitto mosquitto-clients iproute2 libsndfile1 libasound2-dev gcc \
  $(shell $(PYTHON) -c 'import os, sysconfig as s; p = s.get_path("include"); \
    print("" if os.path.exists(p + "/Python.h") else "python3-dev")' 2>/dev/null)
CONVERTERS_PACKAGES := espeak-ng libespeak-ng1 flite festival festvox-kallpc16k festvox-kdlpc16k \
  festvox-us-slt-hts festlex-cmu festlex-poslex wamerican miscfiles flac

.PHONY: help run test test-slow bench check clean \
  test-agent test-runtimes test-converters check-agent check-converters \
  run-packages agent-packages converters-packages python-version

help:
	@echo 'make run         play the bundled recording through both processes and watch'
	@echo 'make test        all tests: first the agent without torch, then the converters'
	@echo 'make test-slow   what takes longer: wheel sets of other Pythons and boards, slow tests'
	@echo 'make bench       CPU, memory, latency and start-up time of this machine'
	@echo 'make check       ruff and mypy only'
	@echo 'make clean       remove environments .venv-*, caches and build products'

run: $(RUN_ENV)/.voice-agent-stamp
	@$(RUN_ENV)/bin/voice-agent run

bench: $(RUN_ENV)/.voice-agent-stamp
	@$(RUN_ENV)/bin/voice-agent bench

test: test-agent test-runtimes test-converters
	@echo 'make test: everything passed'

# The agent must install, check and pass where torch does not exist.
test-agent: check-agent
	@if $(AGENT_ENV)/bin/python -c 'import torch' 2>/dev/null; then \
	  echo 'error: torch is installed in $(AGENT_ENV); remove that folder and try again'; exit 1; fi
	$(AGENT_ENV)/bin/python -m pytest -n $(TEST_JOBS) -m 'not slow and not hil' $(PYTEST_ARGS) $(AGENT_TESTS)

# The older runtime exists up to Python 3.11; a newer interpreter has only one runtime to test.
test-runtimes: agent-packages
	@if $(PYTHON) -c 'import sys; sys.exit(sys.version_info >= (3, 12))'; then \
	  $(MAKE) --no-print-directory $(TFLITE_ENV)/.voice-agent-stamp && \
	  $(TFLITE_ENV)/bin/python -m pytest -m 'not slow and not hil' $(PYTEST_ARGS) tests/agent/bundle; \
	else echo 'tflite-runtime has no wheel for this Python: its tests are left out'; fi

test-converters: check-converters
	$(CONVERTERS_ENV)/bin/python -m pytest -n $(TEST_JOBS) -m 'not slow and not hil' $(PYTEST_ARGS) $(CONVERTERS_TESTS)

# pytest answers 5 where a folder has no slow test: that is no failure.
test-slow: $(AGENT_ENV)/.voice-agent-stamp $(CONVERTERS_ENV)/.voice-agent-stamp
	$(AGENT_ENV)/bin/python -m pytest -m slow $(PYTEST_ARGS) $(AGENT_TESTS) || [ $$? = 5 ]
	$(CONVERTERS_ENV)/bin/python -m pytest -m slow $(PYTEST_ARGS) $(CONVERTERS_TESTS) || [ $$? = 5 ]

check: check-agent check-converters

check-agent: $(AGENT_ENV)/.voice-agent-stamp
	$(AGENT_ENV)/bin/ruff check .
	$(AGENT_ENV)/bin/mypy agent firmware_models $(AGENT_TESTS)

check-converters: $(CONVERTERS_ENV)/.voice-agent-stamp
	$(CONVERTERS_ENV)/bin/mypy converters $(CONVERTERS_TESTS)

# Leaves .venv alone: people keep other things in it.
clean:
	rm -rf $(AGENT_ENV) $(TFLITE_ENV) $(CONVERTERS_ENV) build dist *.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find agent converters firmware_models tests -name __pycache__ -type d -prune -exec rm -rf {} +

# --- environments -------------------------------------------------------------------------------

%/bin/python: | python-version run-packages
	$(PYTHON) -m venv $(VENV_FLAGS) $*

$(RUN_ENV)/.voice-agent-stamp: pyproject.toml | $(RUN_ENV)/bin/python
	$(RUN_ENV)/bin/python $(PIP) install --quiet --editable .
	@touch $@

$(AGENT_ENV)/.voice-agent-stamp: pyproject.toml | agent-packages $(AGENT_ENV)/bin/python
	$(AGENT_ENV)/bin/python $(PIP) install --quiet --editable '.[alsa,test]'
	@touch $@

$(TFLITE_ENV)/.voice-agent-stamp: pyproject.toml | agent-packages $(TFLITE_ENV)/bin/python
	$(TFLITE_ENV)/bin/python $(PIP) install --quiet --editable '.[tflite-runtime,test]'
	@touch $@

$(CONVERTERS_ENV)/.voice-agent-stamp: pyproject.toml | converters-packages $(CONVERTERS_ENV)/bin/python
	@echo 'installing $(TORCH)'
	@$(CONVERTERS_ENV)/bin/python $(PIP) install --quiet --only-binary=:all: '$(TORCH)' 2>/dev/null || \
	  $(CONVERTERS_ENV)/bin/python $(PIP) install --quiet --only-binary=:all: $(TORCH_PIP_ARGS) '$(TORCH)'
	$(CONVERTERS_ENV)/bin/python $(PIP) install --quiet --editable '.[converters,test]'
	@touch $@

python-version: run-packages
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: $(PYTHON) is missing or older than 3.11; name another: make PYTHON=python3.11 ..."; exit 1; }

# --- Debian packages ----------------------------------------------------------------------------
# Only what is missing is installed, and said first. Elsewhere than on Debian the names are printed.

define install_packages
@missing=""; \
for package in $(1); do \
  dpkg-query -W -f='$${Status}' $$package 2>/dev/null | grep -q 'ok installed' \
    || missing="$$missing $$package"; \
done; \
if [ -z "$$missing" ]; then exit 0; fi; \
if ! command -v apt-get >/dev/null; then \
  echo "note: no apt-get here; what Debian calls$$missing is expected to be installed"; exit 0; fi; \
echo "installing Debian packages:$$missing"; \
$(SUDO) apt-get update -qq && \
$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null \
  || { echo "error: could not install; as root, run: apt-get install$$missing"; exit 1; }
endef

run-packages:
	$(call install_packages,$(RUN_PACKAGES))

agent-packages: run-packages
	$(call install_packages,$(AGENT_PACKAGES))

converters-packages: run-packages
	$(call install_packages,$(CONVERTERS_PACKAGES))
