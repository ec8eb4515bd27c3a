# Every target does its own set-up: `make demo` and `make test` are all a fresh clone needs.
.DEFAULT_GOAL := help
.PHONY: help setup setup-tpu demo test times test-long test-kernel test-ray test-ray-full test-tpu tpu-python test-s3 test-report test-report-full test-docs docs reference check format bench torture torture-short clean

VENV := .venv
PYTHON := $(VENV)/bin/python
READY := $(VENV)/.ready
PYTEST := OMP_NUM_THREADS=1 $(PYTHON) -m pytest
KAGGLE := .venv-kaggle
PYTHON312 ?= python3.12
# torch_xla wants the torch of its own version.
TPU_VENV := .venv-tpu
TPU_READY := $(TPU_VENV)/.ready
# Beside the other packages, not among them: botocore wants an older python-dateutil.
S3 := .s3-packages
# $(call fits,<module>,<oldest>,<newest>): whether a Python starts (a name left behind by pyenv does not), is of Python 3.<oldest>
# to 3.<newest>, and has the module: ensurepip, without which Debian's makes no environment, or pip.
fits = -c 'import sys, venv, $(1); sys.exit(not (3, $(2)) <= sys.version_info[:2] <= (3, $(3)))' >/dev/null 2>&1
first = $(shell for p in $(1); do $$p $(call fits,ensurepip,$(2),$(3)) && echo $$p && break; done)
PYTHONS := python3.14 python3.13 python3.12 python3.11 python3 python
# The newest supported Python; or say PYTHON3=/path/to/it.
PYTHON3 ?= $(call first,$(PYTHONS),11,14)
# torch_xla 2.9 has no wheels for Python 3.14, and the libtpu that it asks for has none for 3.13.
TPU_PYTHON3 = $(call first,$(PYTHON3) $(PYTHONS),11,12)
# $(call environment,<folder>,<Python>,<oldest>,<newest>,<versions in words>,<variable>): makes one, unless one is there: its packages
# are then brought up to date and its Python is kept, whatever else has been installed since (make clean, to have another).
environment = $(1)/bin/python $(call fits,pip,$(3),$(4)) || { \
	test -n "$(2)" && $(2) $(call fits,ensurepip,$(3),$(4)) || { \
	echo "$(5) is needed, with venv (on Debian and Ubuntu: python3-venv); say $(6)=/path/to/it" >&2; exit 2; }; \
	$(2) -m venv --clear $(1); }

export NO_ALBUMENTATIONS_UPDATE := 1
# Lightning's metrics import matplotlib, which would make its cache in the home.
export MPLCONFIGDIR := $(abspath $(VENV))/matplotlib

help:  ## List the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY)  ## Make the virtual environment (once; 6 GB, one to three minutes)

$(READY): requirements.txt requirements-dev.txt requirements-kaggle.txt requirements-docs.txt requirements-ray.txt constraints.txt
	@$(call environment,$(VENV),$(PYTHON3),11,14,Python 3.11 to 3.14,PYTHON3)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt -c constraints.txt
	@touch $@

demo: $(READY)  ## Run the whole job on the embedded sample: runs/demo/submission.csv
	@test -d input/demo || $(PYTHON) scripts/make_sample.py --output-dir input/demo
	$(PYTHON) scripts/create_folds.py --data-dir input/demo --output folds/demo.csv
	$(PYTHON) scripts/train_folds.py --config configs/demo.yaml --fold all
	$(PYTHON) scripts/build_submission.py --run-dir runs/demo

test: $(READY)  ## Run the tests (docs/testing.md has the others)
	$(PYTEST) -n 2 --dist worksteal

times: $(READY)  ## Run the tests, and list the twenty slowest
	$(PYTEST) -n 2 --dist worksteal --durations=20 --durations-min=0

test-long: $(READY)  ## Run the tests of whole kernels, of compiling, of devices that die, of stops in every window
	$(PYTEST) -n 2 --dist worksteal -m long

test-kernel: $(READY) $(KAGGLE)/.ready  ## Run a pushed kernel on the packages of Kaggle's image (6 GB, Python 3.12)
	MELANOMA_KAGGLE_PYTHON=$(abspath $(KAGGLE)/bin/python) $(PYTEST) -m image

$(KAGGLE)/.ready: kaggle_kernel/image-requirements.txt
	@$(call environment,$(KAGGLE),$(PYTHON312),12,12,Python 3.12,PYTHON312)
	$(KAGGLE)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

test-ray: $(READY)  ## Train over a Ray cluster of three nodes on this machine, one of which is killed
	$(PYTEST) -m ray

test-ray-full: $(READY)  ## The same with more folds than nodes
	MELANOMA_TEST_FULL=1 $(PYTEST) -m ray

test-tpu: $(TPU_READY)  ## Run the tests that need torch_xla, on the processor (once: 6 GB; two minutes)
	PJRT_DEVICE=CPU PYTHONPATH=tests/tpu/simulated OMP_NUM_THREADS=1 \
		$(TPU_VENV)/bin/python -m pytest tests/tpu

setup-tpu: $(TPU_READY)  ## Make the environment of test-tpu (once; 6 GB)

tpu-python:  # Which Python test-tpu would take, if any: .ci/run asks
	@test -n "$(TPU_PYTHON3)" && echo $(TPU_PYTHON3)

$(TPU_READY): requirements.txt requirements-dev.txt requirements-docs.txt requirements-ray.txt requirements-tpu.txt constraints.txt
	@$(call environment,$(TPU_VENV),$(TPU_PYTHON3),11,12,Python 3.11 or 3.12,PYTHON3)
	grep -vE '^(torch|torchvision|triton)==' constraints.txt > $(TPU_VENV)/constraints.txt
	$(TPU_VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
		-r requirements-tpu.txt -r requirements-dev.txt -c $(TPU_VENV)/constraints.txt
	@touch $@

test-s3: $(READY) $(S3)/.ready  ## Run the tests that read from an object store (S3, simulated)
	PYTHONPATH=$(S3) $(PYTEST) tests/remote/test_s3.py

$(S3)/.ready: constraints.txt
	@mkdir -p $(S3)
	grep -v '^python-dateutil==' constraints.txt > $(S3)/constraints.txt
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --target $(S3) --upgrade \
		s3fs 'moto[server]' -c $(S3)/constraints.txt
	@touch $@

test-report: $(READY)  ## Open reports, of runs/demo too, in a headless Chromium (a package of the distribution's)
	MELANOMA_TEST_REPORT=1 $(PYTEST) -n 2 --dist loadgroup -m browser -rs

test-report-full: $(READY)  ## The same, each report in both widths
	MELANOMA_TEST_FULL=1 MELANOMA_TEST_REPORT=1 $(PYTEST) -n 2 --dist loadgroup -m browser -rs

docs: $(READY)  ## Build the documentation's site, build/site; a broken link is an error
	$(VENV)/bin/sphinx-build --fail-on-warning --keep-going --quiet -d build/doctrees docs build/site
	@echo build/site/index.html

reference: $(READY)  ## Write docs/reference/ anew, after an option has changed
	$(PYTHON) docs/make_reference.py

test-docs: $(READY)  ## Run every command of README and docs, on small data
	$(PYTEST) -m docs

check: $(READY)  ## Lint, formatting, types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: $(READY)  ## Put the code in form
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: $(READY)  ## Measure speed side by side; needs ../shared/data, takes about an hour
	OMP_NUM_THREADS=1 $(PYTHON) benchmarks/prepare.py
	$(PYTHON) benchmarks/epoch.py
	$(PYTHON) benchmarks/prediction.py
	$(PYTHON) benchmarks/parallel.py
	$(PYTHON) benchmarks/start.py
	$(PYTHON) benchmarks/memory.py
	$(PYTHON) benchmarks/report.py
	OMP_NUM_THREADS=1 $(PYTHON) benchmarks/trust.py
	$(PYTHON) benchmarks/scaling.py --sizes '[33126,400000]'

torture: $(READY)  ## Kill it, fill its disk, feed it rubbish; up to an hour and a half, see docs/reliability.md
	$(PYTHON) torture/run.py

torture-short: $(READY)  ## Two of its tests, with one round each
	$(PYTHON) torture/run.py --tests rivals kill --rival-rounds 1 --kill-rounds 1

clean:  ## Remove the environment and the demo's results; never your data or runs
	rm -rf $(VENV) $(KAGGLE) $(TPU_VENV) $(S3) input/demo folds/demo.csv folds/demo.json runs/demo .mypy_cache .ruff_cache .pytest_cache
