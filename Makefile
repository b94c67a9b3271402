# The two commands are `make demo` and `make test`; `make help` lists the rest.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
# -qq: an old pip warns of an extra it cannot match, whose package the lock names besides.
PIP    := $(BIN)/python -m pip install -qq --disable-pip-version-check

.PHONY: help demo test soak services lint lock clean
help:
	@echo "make demo      crawl the bundled newsroom into ./demo"
	@echo "make test      run the test suite"
	@echo "make lint      ruff and mypy"
	@echo "make services  install what server tests need (Debian, root)"
	@echo "make soak      the long runs"
	@echo "make lock      resolve requirements.lock anew"

demo: $(READY)
	$(BIN)/sitrep demo

test: $(READY)
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

soak: $(READY)
	$(BIN)/python -m pytest -m soak

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# Debian parts venv's pip from Python (package python3-venv); pip itself can fill an empty venv.
$(READY): requirements.lock pyproject.toml
	@echo "building $(VENV) (once; a minute or two)"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { $(PYTHON) -m venv --without-pip $(VENV) && \
	  $(PYTHON) -m pip --python $(BIN)/python install -q --disable-pip-version-check pip; }
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $(READY)

services:
	apt-get update -q
	RUNLEVEL=1 apt-get install -y -q --no-install-recommends postgresql strace \
	  radosgw ceph-mon ceph-osd ceph-common

lock:
	$(BIN)/python -m pip install -q uv
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --extra dev \
	  --no-header --no-annotate --no-emit-index-url pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) demo build *.egg-info
