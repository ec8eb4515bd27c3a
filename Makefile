# Every target does its own set-up: `make demo` and `make test` are all a fresh clone needs.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-long test-kernel test-ray test-tpu test-s3 test-report test-docs docs reference check format bench torture torture-short clean

VENV := .venv
PYTHON := $(VENV)/bin/python
READY := $(VENV)/.ready
KAGGLE := .venv-kaggle
PYTHON312 ?= python3.12
# torch_xla wants the torch of its own version.
TPU_VENV := .venv-tpu
TPU_READY := $(TPU_VENV)/.ready
# Beside the other packages, not among them: botocore wants an older python-dateutil.
S3 := .s3-packages
# The first Python of a supported version; or say PYTHON3=/path/to/python3.12.
PYTHON3 ?= $(shell for p in python3 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' >/dev/null 2>&1 && echo $$p && break; done)

export NO_ALBUMENTATIONS_UPDATE := 1

help:  ## List the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY)  ## Make the virtual environment (once; 6 GB, one to three minutes)

$(READY): requirements.txt requirements-dev.txt requirements-kaggle.txt requirements-docs.txt requirements-ray.txt constraints.txt
	@test -n "$(PYTHON3)" || { echo "Python 3.11 or 3.12 is needed; say PYTHON3=/path/to/it" >&2; exit 2; }
	$(PYTHON3) -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt -c constraints.txt
	@touch $@

demo: $(READY)  ## Run the whole job on the embedded sample: runs/demo/submission.csv
	@test -d input/demo || $(PYTHON) scripts/make_sample.py --output-dir input/demo
	$(PYTHON) scripts/create_folds.py --data-dir input/demo --output folds/demo.csv
	$(PYTHON) scripts/train_folds.py --config configs/demo.yaml --fold all
	$(PYTHON) scripts/build_submission.py --run-dir runs/demo

test: $(READY)  ## Run the tests
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest -n 2

test-long: $(READY)  ## Run the tests of whole kernels, and of devices that die (some minutes)
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest -n 2 -m long

test-kernel: $(READY) $(KAGGLE)/.ready  ## Run a pushed kernel on the packages of Kaggle's image (6 GB, Python 3.12)
	OMP_NUM_THREADS=1 MELANOMA_KAGGLE_PYTHON=$(abspath $(KAGGLE)/bin/python) \
		$(PYTHON) -m pytest tests/kaggle/test_pushed_kernel.py

$(KAGGLE)/.ready: kaggle_kernel/image-requirements.txt
	@command -v $(PYTHON312) >/dev/null || { echo "Python 3.12 is needed; say PYTHON312=/path/to/it" >&2; exit 2; }
	$(PYTHON312) -m venv $(KAGGLE)
	$(KAGGLE)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

test-ray: $(READY)  ## Train over a Ray cluster of three nodes on this machine, one of which is killed (some minutes)
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest -m ray tests/training/cluster

test-tpu: $(TPU_READY)  ## Run the tests that need torch_xla, on the processor (once: 6 GB; two minutes)
	PJRT_DEVICE=CPU PYTHONPATH=tests/tpu/simulated OMP_NUM_THREADS=1 \
		$(TPU_VENV)/bin/python -m pytest tests/tpu

$(TPU_READY): requirements.txt requirements-dev.txt requirements-docs.txt requirements-ray.txt requirements-tpu.txt constraints.txt
	@test -n "$(PYTHON3)" || { echo "Python 3.11 or 3.12 is needed; say PYTHON3=/path/to/it" >&2; exit 2; }
	$(PYTHON3) -m venv $(TPU_VENV)
	grep -vE '^(torch|torchvision|triton)==' constraints.txt > $(TPU_VENV)/constraints.txt
	$(TPU_VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
		-r requirements-tpu.txt -r requirements-dev.txt -c $(TPU_VENV)/constraints.txt
	@touch $@

test-s3: $(READY) $(S3)/.ready  ## Run the tests that read from an object store (S3, simulated)
	OMP_NUM_THREADS=1 PYTHONPATH=$(S3) $(PYTHON) -m pytest tests/remote

$(S3)/.ready: constraints.txt
	@mkdir -p $(S3)
	grep -v '^python-dateutil==' constraints.txt > $(S3)/constraints.txt
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --target $(S3) --upgrade \
		s3fs 'moto[server]' -c $(S3)/constraints.txt
	@touch $@

test-report: $(READY)  ## Open reports, of runs/demo too, in a headless Chromium (a package of the distribution's)
	OMP_NUM_THREADS=1 MELANOMA_TEST_REPORT=1 $(PYTHON) -m pytest tests/report/test_browser.py -rs

docs: $(READY)  ## Build the documentation's site, build/site; a broken link is an error
	$(VENV)/bin/sphinx-build --fail-on-warning --keep-going --quiet -d build/doctrees docs build/site
	@echo build/site/index.html

reference: $(READY)  ## Write docs/reference/ anew, after an option has changed
	$(PYTHON) docs/make_reference.py

test-docs: $(READY)  ## Run every command of docs/, on small data (about ten minutes)
	OMP_NUM_THREADS=1 MELANOMA_TEST_DOCS=1 $(PYTHON) -m pytest tests/docs

check: $(READY)  ## Lint, formatting, types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: $(READY)  ## Put the code in form
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: $(READY)  ## Measure speed side by side; needs ../shared/data, takes about half an hour
	OMP_NUM_THREADS=1 $(PYTHON) benchmarks/prepare.py
	$(PYTHON) benchmarks/epoch.py
	$(PYTHON) benchmarks/prediction.py
	$(PYTHON) benchmarks/parallel.py
	$(PYTHON) benchmarks/start.py
	$(PYTHON) benchmarks/memory.py
	$(PYTHON) benchmarks/report.py
	$(PYTHON) benchmarks/scaling.py --sizes '[33126,400000]'

torture: $(READY)  ## Kill it, fill its disk, feed it rubbish; up to an hour and a half, see docs/reliability.md
	$(PYTHON) torture/run.py

torture-short: $(READY)  ## Two of its tests with fewer rounds, about five minutes
	$(PYTHON) torture/run.py --tests rivals kill --rival-rounds 3 --kill-rounds 6

clean:  ## Remove the environment and the demo's results; never your data or runs
	rm -rf $(VENV) $(KAGGLE) $(TPU_VENV) $(S3) input/demo folds/demo.csv folds/demo.json runs/demo .mypy_cache .ruff_cache .pytest_cache
