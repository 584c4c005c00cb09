PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint lint-style lint-types lint-rules docs bench clean

demo: .venv/demo demo/raw   ## simulate a night, reduce it, compare with the truth
	$(BIN)/snakemake --cores 2 --config raw=demo/raw results=demo/results crosscheck=true
	@echo "Products: demo/results/20240301; report: demo/results/20240301/report.html. Comparison with the truth:"
	@$(BIN)/python -m nightcal.simulation.truth demo/results/20240301/science demo/truth

test: .venv/test            ## run the tests
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

lint: lint-types lint-style lint-rules   ## check style, types, layers and rules

lint-style: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/snakefmt --check Snakefile workflow/rules

lint-types: .venv/test
	$(BIN)/mypy

lint-rules: .venv/test demo/raw
	$(BIN)/snakemake --lint --config raw=demo/raw results=demo/results

docs: .venv/docs            ## build the manual in docs/_build/html; a warning is an error
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "Open docs/_build/html/index.html."

bench: .venv-bench/done     ## time nightcal and its peers (hours); CASES and MORE select: docs/performance.md
	.venv-bench/bin/python -m benchmarks $(CASES) $(MORE)

demo/raw: | .venv/demo
	@test -d $@ || $(BIN)/python -m nightcal.simulation.night demo/raw demo/truth

.venv/demo: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("nightcal needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable .
	$(BIN)/python -m compileall -q workflow/nightcal  # or each job would compile what it imports
	@touch $@

.venv/test: .venv/demo
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@

.venv/docs: .venv/demo
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	@touch $@

# BANZAI requires torch, a database and a message broker; its stacking code needs none of them.
.venv-bench/done: pyproject.toml
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --editable '.[bench]'
	-.venv-bench/bin/python -m pip install --quiet --no-deps 'lco-banzai>=1.40,<2'
	@touch $@

# .snakemake stays: it also keeps the records of your own nights.
clean:                      ## remove the demonstration and the environment; your own results stay
	rm -rf .venv demo
