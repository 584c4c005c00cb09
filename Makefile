PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint bench clean

demo: .venv/demo demo/raw   ## simulate a night, reduce it, compare with the truth
	$(BIN)/snakemake --cores 2 --config crosscheck=true
	@echo "Products are in results/20240301, the report in results/20240301/report.html. Compared with the truth:"
	@$(BIN)/python -m nightcal.simulation.truth results/20240301/science demo/truth

test: .venv/test            ## run the tests
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

lint: .venv/test demo/raw   ## what CI checks besides the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/snakefmt --check Snakefile workflow/rules
	$(BIN)/snakemake --lint

bench: .venv-bench/done     ## time nightcal and its peers, in hours; CASES and MORE choose: docs/performance.md
	.venv-bench/bin/python -m benchmarks $(CASES) $(MORE)

demo/raw: | .venv/demo
	@test -d $@ || $(BIN)/python -m nightcal.simulation.night demo/raw demo/truth

.venv/demo: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("nightcal needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

.venv/test: .venv/demo
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@

# BANZAI asks for torch, a database and a broker; its stacking needs none of them.
.venv-bench/done: pyproject.toml
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --editable '.[bench]'
	-.venv-bench/bin/python -m pip install --quiet --no-deps 'lco-banzai>=1.40,<2'
	@touch $@

clean:                      ## remove what demo and test made, the environment too
	rm -rf .venv demo results .snakemake
