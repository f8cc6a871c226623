# The first use of a target installs everything into .venv.
PYTHON ?= python3
PROFILE ?= thesis
COMPLETE ?= true
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

# The programs of an environment contain the path of its folder: after a move or copy, it must be created again.
MADE_IN := $(shell cat $(BIN)/installed 2>/dev/null)
MOVED := $(shell test -z "$(MADE_IN)" || test "$(MADE_IN)/$(BIN)/installed" -ef $(BIN)/installed || echo yes)
ifdef MOVED
.PHONY: $(BIN)/installed
endif

.PHONY: help demo test test-all study results record bench plain chaos fuzz mutants chapter docs lock clean data-given

help:  ## List these targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(BIN)/installed  ## Run the study on embedded data and print its result table
	dvc repro
	wen results

TESTS = -m "not slow"
test: $(BIN)/installed  ## Lint, type-check and run the tests, without those marked slow
	ruff check .
	ruff format --check .
	mypy
	pytest $(TESTS)

test-all: TESTS =
test-all: test  ## The same with all tests, also the slow ones

ifeq ($(origin NAME),environment)  # in WSL, the name of the computer
override NAME :=
endif
# As they were typed: neither make nor the shell expands $, quotes or backquotes in a name or a pattern.
GIVEN = DATA PROFILE TABLE POSITIVE NAME SUBJECT
$(foreach name,$(GIVEN),$(eval override $(name) := $$(value $(name))))
export $(GIVEN)
USAGE = usage: make study DATA=FOLDER|ZIP [TABLE=cells.csv] [PROFILE=thesis|honest|laptop] [POSITIVE=CLASS] [CLASSES='NEGATIVE POSITIVE'] [NAME=...] [SUBJECT=REGEX] [COMPLETE=false]
study: data-given $(BIN)/installed  ## Set up a study of C-NMC or your own cells: make study DATA=PATH [TABLE=cells.csv] [PROFILE=thesis|honest|laptop]
	wen study "$$DATA" --profile "$$PROFILE" $(if $(filter false,$(COMPLETE)),--incomplete) $(if $(TABLE),--table "$$TABLE") \
	  $(if $(CLASSES),--classes $(value CLASSES)) $(if $(POSITIVE),--positive "$$POSITIVE") $(if $(NAME),--name "$$NAME") \
	  $(if $(SUBJECT),--subject "$$SUBJECT")

data-given:
	@test -n "$$DATA" || { echo "$(USAGE)"; exit 2; }

results: $(BIN)/installed  ## Print the result table of the last run
	wen results

record: $(BIN)/installed  ## Run or resume the studies on real cells in docs/results/: make record DATA=PATH, all or a part of C-NMC
	python bench/record.py $(if $(DATA),--data "$(DATA)")

chapter:  ## Compile the draft of chapter 4 to build/chapter/main.pdf (needs pdflatex)
	@command -v pdflatex >/dev/null || { echo 'pdflatex not found: install TeX Live, or use report/chapter4.docx'; exit 1; }
	@test -f report/main.tex || { echo 'report/main.tex not found: run dvc repro first'; exit 1; }
	rm -rf build/chapter && mkdir -p build && cp -r report build/chapter
	cd build/chapter && pdflatex -interaction=batchmode -halt-on-error main.tex && pdflatex -interaction=batchmode main.tex
	@echo build/chapter/main.pdf

docs: $(BIN)/mkdocs  ## Build the documentation into build/docs and check its links
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet
	@echo build/docs/index.html

bench: $(BIN)/installed  ## Compare speed with other code for the same work: make bench [SAMPLE=PATH, a part of C-NMC]
	python bench/run.py $(if $(SAMPLE),--sample "$(SAMPLE)")

plain: $(BIN)/installed  ## Run the demo without stored features and compare all numbers
	python bench/plain_path.py

SEED ?= 1
TRIES ?= 60
chaos: $(BIN)/installed  ## Kill a tiny study at random moments, resume it and compare its outputs: make chaos [SEED=1] [TRIES=60]
	python chaos/all.py --seed $(SEED) --tries $(TRIES)

MINUTES ?= 10
fuzz: $(BIN)/installed  ## Read files that are changed at random: make fuzz [MINUTES=10] [SEED=1]
	python chaos/fuzz.py --minutes $(MINUTES) --seed $(SEED)

mutants: $(BIN)/installed  ## Test whether the tests detect changes in the statistics: make mutants [MINUTES=20]
	python chaos/mutants.py --minutes $(if $(filter command line,$(origin MINUTES)),$(MINUTES),20)

lock:  ## Update constraints.txt to the newest versions that pyproject.toml allows
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet --no-compile --disable-pip-version-check '.[dev,docs,xgboost]'
	{ grep '^#' constraints.txt; build/lock/bin/pip freeze --exclude wen | LC_ALL=C sort; } > build/lock.txt
	mv build/lock.txt constraints.txt

clean:  ## Remove the environment and tool caches; results stay
	rm -rf .venv build bench/.environments mutants .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is required; choose one with make PYTHON=...")'
	$(PYTHON) -m venv $(if $(MOVED),--clear) .venv
	$(BIN)/pip install --quiet --no-compile --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@git config user.email >/dev/null || ! git rev-parse --git-dir >/dev/null 2>&1 || { \
	  git config user.name 'wen study' && git config user.email 'wen@localhost' && \
	  echo 'dvc exp run needs a git identity, and there was none: this clone now commits as "wen study"'; }
	pwd >$@

$(BIN)/mkdocs: $(BIN)/installed
	$(BIN)/pip install --quiet --no-compile --disable-pip-version-check --constraint constraints.txt --editable '.[dev,docs]'
	touch $@
