# make demo, make test: each sets up .venv first; see README.md.
PYTHON ?= python3
VENV ?= .venv
# older graphics cards: make venv CONSTRAINTS=constraints/titan-xp.txt
CONSTRAINTS ?= constraints/current.txt
PY = $(VENV)/bin/python
INPUTS = pyproject.toml constraints/common.txt $(CONSTRAINTS)

.PHONY: venv demo test test-slow test-older lint

# Installs again only when pyproject.toml, the constraints or the checkout's place have changed.
venv:
	@{ pwd; cat $(INPUTS); } | cmp -s - $(VENV)/installed || { \
	  $(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "jimt needs Python 3.11 or newer: make PYTHON=python3.11")' \
	  && echo "installing into $(VENV) (some minutes, some gigabytes)" \
	  && $(PYTHON) -m venv $(VENV) \
	  && $(PY) -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e '.[dev]' \
	  && { pwd; cat $(INPUTS); } > $(VENV)/installed; }

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

# What must not differ between the two stacks: curation, one training step, checkpoints.
test-older:
	@$(MAKE) --no-print-directory venv VENV=$(VENV) CONSTRAINTS=constraints/titan-xp.txt
	$(TESTS) -m stack

lint: venv
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
