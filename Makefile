# Everything from a checkout, with nothing installed but Python 3.11 or later: `make demo`, `make test`.
# Each makes a virtual environment of its own the first time (20-60 s) and again when pyproject.toml changes.

# The first interpreter that is new enough; PYTHON=... picks another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
PYTEST_ARGS ?=
WORKERS ?= auto

DEV := .venv
DEMO := .venv-demo
VENV = $(if $(PYTHON),,$(error no Python 3.11 or later found: set PYTHON))rm -rf $(1) && $(PYTHON) -m venv $(1)
PIP = PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

.PHONY: demo test test-slow test-nightly soak soak-quick soak-mutants drift lint format types audit bench bench-quick dist clean

demo: $(DEMO)/installed
	$(DEMO)/bin/pgq demo

test: $(DEV)/installed
	$(DEV)/bin/pytest -n $(WORKERS) -m "not slow" --durations=15 --durations-min=2 $(PYTEST_ARGS)

test-slow: $(DEV)/installed
	$(DEV)/bin/pytest -n $(WORKERS) --dist loadfile -m "slow and not alone and not nightly" --durations=25 --durations-min=5 $(PYTEST_ARGS)
	$(DEV)/bin/pytest -m "slow and alone and not nightly" --durations=25 --durations-min=5 $(PYTEST_ARGS)

test-nightly: $(DEV)/installed
	$(DEV)/bin/pytest -m nightly $(PYTEST_ARGS)

# A million jobs through kills, freezes, crashes and a bad network; MINUTES=40, and SOAK_ARGS="--seed N" replays the faults.
MINUTES ?= 40
SOAK_ARGS ?=
soak: $(DEV)/installed
	$(DEV)/bin/python -m tests.soak --long --minutes $(MINUTES) $(SOAK_ARGS)

soak-quick: $(DEV)/installed
	$(DEV)/bin/python -m tests.soak --quick $(SOAK_ARGS)

# Engines that are wrong: the soak has to catch each, at the third try at the latest (what it does is random). A minute and a
# quarter for each try; the interleavings catch the same and more for certain.
soak-mutants: $(DEV)/installed
	@status=0; for mutant in id-only-settle ack-before-run async-commit app-clock stale-rescue; do \
		for try in 1 2 3 no; do test $$try != no || { status=1; break; }; \
			$(DEV)/bin/python -m tests.soak --quick --mutant $$mutant $(SOAK_ARGS) && break; done; done; exit $$status

# Memory, descriptors, tables and dead tuples over time, as CSV and SVG.
drift: $(DEV)/installed
	$(DEV)/bin/python -m tests.soak.drift --minutes $(MINUTES) $(SOAK_ARGS)

lint: $(DEV)/installed
	@status=0; for check in "ruff check" "ruff format --check" lint-imports; do \
		echo "$$check"; $(DEV)/bin/$$check || status=1; done; exit $$status

format: $(DEV)/installed
	$(DEV)/bin/ruff check --fix
	$(DEV)/bin/ruff format

types: $(DEV)/installed
	$(DEV)/bin/mypy

# Our code by bandit, what it stands on by pip-audit. Without a network the second says so and passes.
# (bandit warns of a `nosec` that has nothing to hide in one part of its line: it looks at each part by itself.)
audit: $(DEV)/audit-installed
	@status=0; $(DEV)/bin/bandit --quiet --configfile pyproject.toml --recursive pgqueue migrations || status=1; \
		$(DEV)/bin/python .ci/advisories.py || status=1; exit $$status

# The figures of benchmarks/README.md: half an hour on a quiet machine, or a few minutes to see that all of it works.
bench: $(DEV)/installed
	$(DEV)/bin/python -m benchmarks.all

bench-quick: $(DEV)/installed
	$(DEV)/bin/python -m benchmarks.all --quick

dist: $(DEV)/installed
	rm -rf dist
	$(DEV)/bin/python -m build --outdir dist

clean:
	rm -rf $(DEV) $(DEMO) build dist

# A file inside says that the install came to its end: one that was interrupted is made again.
$(DEV)/installed: pyproject.toml
	$(call VENV,$(DEV))
	$(PIP) $(DEV)/bin/pip install --quiet -e '.[dev]'
	@touch $@

$(DEV)/audit-installed: $(DEV)/installed
	$(PIP) $(DEV)/bin/pip install --quiet -e '.[audit]'
	@touch $@

$(DEMO)/installed: pyproject.toml
	$(call VENV,$(DEMO))
	$(PIP) $(DEMO)/bin/pip install --quiet -e '.[demo]'
	@touch $@
