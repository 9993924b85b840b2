# make demo, make test: each sets up .venv first; see README.md.
PYTHON ?= python3
VENV ?= .venv
# older graphics cards: make venv CONSTRAINTS=constraints/titan-xp.txt
CONSTRAINTS ?= constraints/current.txt
PY = $(VENV)/bin/python
# bioimageio.core, which agrees with no environment of jimt
ZOO ?= .venv-zoo
INPUTS = pyproject.toml constraints/common.txt $(CONSTRAINTS)

.PHONY: venv zoo demo test test-slow test-zoo test-older lint bench bench-quick bench-long

# Installs again only when pyproject.toml, the constraints or the checkout's place have changed.
venv:
	@{ pwd; cat $(INPUTS); } | cmp -s - $(VENV)/installed || { \
	  $(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "jimt needs Python 3.11 or newer: make PYTHON=python3.11")' \
	  && echo "installing into $(VENV) (some minutes, some gigabytes)" \
	  && $(PYTHON) -m venv $(VENV) \
	  && $(PY) -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e '.[dev]' \
	  && { pwd; cat $(INPUTS); } > $(VENV)/installed; }

zoo:
	@cmp -s constraints/zoo.txt $(ZOO)/installed || { \
	  echo "installing into $(ZOO) (a minute, half a gigabyte)" \
	  && $(PYTHON) -m venv --clear $(ZOO) \
	  && $(ZOO)/bin/python -m pip install --quiet --disable-pip-version-check -r constraints/zoo.txt \
	  && cp constraints/zoo.txt $(ZOO)/installed; }

demo: venv
	$(PY) train.py experiment=demo
	$(PY) train.py experiment=demo_stain

# Two processes of one thread each: with two threads each they would wait for one another. What one process has compiled
# the hundred that tests start need not compile again, wherever the environment forbids that.
TESTS = PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# make test MARKED='slow or not slow': the slow ones too, in one run that reads the tests once.
test: venv
	$(TESTS) $(if $(MARKED),-m '$(MARKED)')

test-slow: venv
	$(TESTS) -m slow

# Packages of the BioImage Model Zoo, by the zoo's own test.
test-zoo: venv zoo
	JIMT_ZOO_PYTHON=$(abspath $(ZOO))/bin/python $(TESTS) -m 'slow or not slow' tests/export/test_zoo.py

# What must not differ between the two stacks: curation, one training step, checkpoints.
test-older:
	@$(MAKE) --no-print-directory venv VENV=$(VENV) CONSTRAINTS=constraints/titan-xp.txt
	$(TESTS) -m stack

lint: venv
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

# Ratios against plain references, on an idle machine; what is measured is written into benchmarks/RESULTS.md.
bench: venv
	$(PY) benchmarks/speed.py --write

bench-long: venv
	$(PY) benchmarks/speed.py --long --repeats 3 --write

bench-quick: venv
	$(PY) benchmarks/speed.py --quick
