# Everything runs in .venv, made on first use; only Python 3.11+ and make are needed.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check types format clean

demo: .venv/base ## colorize the bundled photograph and film clip
	$(BIN)/colorcli run examples/within_our_gates_1920.jpg examples/market_street_1906.mkv -o demo --overwrite
	@echo
	@echo "Look at demo/within_our_gates_1920.jpg and demo/market_street_1906.mkv"

test: .venv/dev ## run all tests
	@echo "All tests, one process a core: some 9 CPU minutes, so about 5 minutes on two idle cores."
	$(BIN)/pytest -n auto --dist loadfile

check: .venv/dev types ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/dev
	$(BIN)/mypy -p colorcli
	$(BIN)/mypy benchmarks/*.py

format: .venv/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.venv/bin/pip:
	$(PYTHON) -c 'import sys; sys.exit("colorcli needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv

.venv/base: .venv/bin/pip pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/dev: .venv/bin/pip pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ .venv/base

clean:
	rm -rf .venv demo build dist *.egg-info
