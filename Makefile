PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
# One process for each core, and one thread in each: two that both use all cores wait for each other.
TESTS := OPENBLAS_NUM_THREADS=1 $(BIN)/pytest -n auto --dist worksteal

# Modules are compiled when they are first imported: most of what is installed never is.
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable

# Hundreds of processes start in the tests: what they import is compiled once, whatever the caller wants.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: reproduce atlas test checked compiled test-long test-arm battery bench bench-transfer widths bench-losses bench-storage bench-sweeps docs attack mutants clean

reproduce: $(READY)
	$(BIN)/kt-theory reproduce
	$(BIN)/kt-theory reproduce --limits

atlas: $(READY)
	$(BIN)/kt-theory atlas --out figures/atlas

test: $(READY)
	$(MAKE) --jobs=2 checked compiled
	$(TESTS) -m "not long"

checked: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Two processes of tests that find no machine code would each make all of it.
compiled: $(READY)
	$(BIN)/kt-theory warmup

test-long: $(READY) .venv/long
	$(TESTS) -m long

# What builds the site and packages, and drives a browser; Chromium itself is the system's.
.venv/long: pyproject.toml constraints.txt | $(READY)
	$(INSTALL) '.[docs,browser,explore,release]'
	touch $@

# Simulations on an emulated ARM processor; on Debian, as root, about ten minutes.
test-arm: $(READY) .arm/ready
	$(BIN)/pytest tests/test_arm.py -m long

.arm/ready: tests/portability/arm.sh constraints.txt | $(READY)
	tests/portability/arm.sh .arm
	touch $@

# The random words under TestU01's Crush; on Debian, some hours. SmallCrush takes two minutes.
battery: $(READY) .testu01/ready
	PYTHONPATH=tests $(BIN)/python -m battery .testu01 --battery Crush

.testu01/ready: tests/battery/testu01.sh
	tests/battery/testu01.sh .testu01
	touch $@

bench: $(READY)
	$(BIN)/python benchmarks/engine.py

bench-transfer: $(READY)
	$(BIN)/python benchmarks/transfer.py --out benchmarks/transfer.md

bench-certificates: $(READY)
	$(BIN)/python benchmarks/certificates.py --draws 20 > benchmarks/certificates.md

widths: $(READY)
	$(BIN)/python benchmarks/widths.py > docs/widths.md

bench-losses: $(READY)
	$(BIN)/python benchmarks/losses.py > benchmarks/losses.md

bench-storage: $(READY)
	$(BIN)/python benchmarks/storage.py > benchmarks/storage.md

bench-sweeps: $(READY)
	$(BIN)/python benchmarks/sweep_overhead.py

# The site, in docs/_build/html; whatever Sphinx warns of is an error.
docs: $(READY) .venv/docs
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

.venv/docs: pyproject.toml constraints.txt | $(READY)
	$(INSTALL) '.[docs]'
	touch $@

attack: $(READY)
	PYTHONPATH=tests:examples $(BIN)/python -m attack --out attack.jsonl

# Wrong versions of the package, each of which the quick suite must convict; goes on where it stopped.
mutants: $(READY)
	PYTHONPATH=tests:examples $(BIN)/python -m mutants

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(INSTALL) '.[dev]'
	touch $@

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis docs/_build docs/api docs/gallery
	find kt_theory -name '*.nb[ci]' -delete
