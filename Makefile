# The commands of callvault's developers and of those who try it out.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv and install the locked dependencies

$(STAMP): pyproject.toml locks/dev.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv --without-pip $(VENV)
	@test -x $(BIN)/uv || $(PYTHON) -m pip --quiet --python $(BIN)/python install "$$(grep -o '^uv==[0-9.]*' locks/dev.txt)"
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip sync --quiet --require-hashes locks/dev.txt
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --editable .
	@touch $(STAMP)

lock: ## resolve the dependencies anew into locks/
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate pyproject.toml -o locks/run.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --group dev pyproject.toml -o locks/dev.txt

demo: setup ## start a vault with sample calls and print how to reach it
	@$(BIN)/callvault demo

serve: setup ## start the vault on ./callvault-data
	@$(BIN)/callvault serve

test: setup ## run the whole test suite
	@tests/run

check: setup ## lint, types, layers, sizes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy
	$(BIN)/pytest tests/architecture -n 0

fmt: setup ## format the code and mend what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

cover: setup ## run the tests and report what they did not reach
	$(BIN)/coverage erase
	COVERAGE_PROCESS_START=pyproject.toml $(BIN)/coverage run -m pytest
	$(BIN)/coverage combine && $(BIN)/coverage report --skip-covered

bench: setup ## measure, with peers beside us, and print ratios
	@$(BIN)/python -m bench

fuzz: setup ## fuzz the parsers and the APIs, for about ten minutes
	@HYPOTHESIS_PROFILE=fuzz $(BIN)/pytest tests/unit/wire tests/integration/test_schemas.py -n 2 -k "fuzz or schemas"

.PHONY: help setup lock demo serve test check fmt cover bench fuzz
