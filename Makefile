# `make demo` runs the main commands in a simulated guest, `make test` all tests that this machine can run.

PYTHON ?= python3
OLDEST ?= python3.10
VENV := .venv
BIN := $(VENV)/bin
# Most tests wait for a program, so more of them run at a time than there are processors.
PYTEST_FLAGS ?= -n 4 --dist worksteal

.PHONY: help demo test lint bench hosts generate docs dist zipapp deb release-check test-guests test-oldest
.PHONY: fuzz soak mutants audit lock clean

help:
	@echo 'make demo          run the main commands in a simulated guest'
	@echo 'make test          lint, types and tests; also on real hosts after `make hosts`, as root'
	@echo 'make bench         measure the cost beside curl and others; with GROWTH=1 also how it grows'
	@echo 'make hosts         install LXD, Incus and other programs for the tests (Debian, as root)'
	@echo 'make generate      write man pages, completions and lists that derive from the command line'
	@echo 'make docs          build the documentation as HTML in build/docs; warnings are errors'
	@echo 'make dist          build and check sdist and wheel in dist/'
	@echo 'make zipapp        build dist/devlxdctl.pyz, the program as one file'
	@echo 'make deb           build dist/devlxdctl_VERSION_all.deb for Debian 12, Ubuntu 22.04 and later'
	@echo 'make release-check  build all files of a release twice, and print what is missing for it'
	@echo 'make test-guests   test file and package in guests of Debian 12, 13 and testing, and other Pythons, as root'
	@echo 'make test-oldest   test with the lowest versions of the dependencies that pyproject.toml permits'
	@echo 'make mutants       change the code and see whether a test fails; SAMPLE=40 SEED=1 ARGS=--help'
	@echo 'make fuzz          fuzz what reads data of the host for FUZZ_SECONDS (60)'
	@echo 'make soak          run for minutes against a real Incus, as root, and the simulator; ARGS=--help'
	@echo 'make audit         compare the locked versions with the published advisories (network)'
	@echo 'make lock          write requirements-dev.txt with the newest versions that fit together'
	@echo 'make clean         remove what the other targets created'

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "devlxdctl needs Python 3.10 or later: make PYTHON=…")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.simulator: $(VENV)/pyvenv.cfg pyproject.toml
	$(BIN)/pip install -q -e '.[simulator]'
	@touch $@

$(VENV)/.test: $(VENV)/pyvenv.cfg pyproject.toml requirements-dev.txt
	$(BIN)/pip install -q -c requirements-dev.txt -e '.[test]'
	@touch $@ $(VENV)/.simulator

demo: $(VENV)/.simulator
	@PATH="$(CURDIR)/$(BIN):$$PATH" devlxd-simulator run --guest examples/guest.yaml -- sh examples/demo.sh

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest $(PYTEST_FLAGS) $(TESTS)

# ARGS are arguments of the program: `make bench ARGS='--help'`
bench: $(VENV)/.test
	$(BIN)/python -m tests.bench $(if $(GROWTH),--growth) $(ARGS)

fuzz: $(VENV)/.test
	$(BIN)/pip install -q -c requirements-dev.txt -e '.[fuzz]'
	$(BIN)/python -m tests.fuzz $(or $(FUZZ_SECONDS),60) $(ARGS)

soak: $(VENV)/.test
	$(BIN)/python -m tests.soak $(ARGS)

$(VENV)/.mutants: $(VENV)/.test
	$(BIN)/pip install -q -c requirements-dev.txt -e '.[mutants]'
	@touch $@

# In copies of the checkout. The scores are in build/mutants.json, with ARGS=--record in tests/mutants/scores.json.
mutants: $(VENV)/.mutants
	nice $(BIN)/python -m tests.mutants $(if $(SAMPLE),--sample $(SAMPLE)) --seed $(or $(SEED),1) $(ARGS)

# Some machines have a command of the oldest Python that does not run.
$(VENV)-oldest/.installed: pyproject.toml requirements-oldest.txt
	rm -rf $(VENV)-oldest
	$$($(OLDEST) -c '' 2>/dev/null && echo $(OLDEST) || echo $(PYTHON)) -m venv $(VENV)-oldest
	$(VENV)-oldest/bin/pip install -q -r requirements-oldest.txt
	$(VENV)-oldest/bin/pip install -q --no-deps -e .
	@touch $@

# Those that use these dependencies most.
OLDEST_TESTS := $(addprefix tests/unit/test_,client.py e*.py keys.py retry.py st*.py threads.py) tests/cli/output \
    $(addprefix tests/cli/,commands/test_events.py commands/test_help.py test_options.py) \
    $(addprefix tests/robustness/test_,malformed* truncated* websocket*)
test-oldest: $(VENV)-oldest/.installed
	$(VENV)-oldest/bin/python -m pytest $(PYTEST_FLAGS) $(OLDEST_TESTS)

# Fails for a known advisory, and where none can be read: then there is no build/audit.json.
audit: $(VENV)/.test
	$(BIN)/pip install -q -c requirements-dev.txt -e '.[audit]'
	@mkdir -p build && rm -f build/audit.json
	$(BIN)/pip-audit --no-deps --disable-pip -r requirements-dev.txt -f json -o build/audit.json
	@$(BIN)/python -c 'import json; all = json.load(open("build/audit.json"))["dependencies"]; \
	  print(sum("skip_reason" in each for each in all), "of", len(all), "are unknown to the service")'

UV_COMPILE := $(VENV)-lock/bin/uv pip compile -q --python $(VENV)-lock pyproject.toml
lock:
	rm -rf $(VENV)-lock
	$(OLDEST) -m venv $(VENV)-lock
	$(VENV)-lock/bin/pip install -q -e '.[lock]'
	{ sed -n '/^#/p' requirements-dev.txt; \
	    $(UV_COMPILE) --universal --upgrade --all-extras --no-annotate --no-header; } >requirements-dev.new
	mv requirements-dev.new requirements-dev.txt
	$(UV_COMPILE) --resolution lowest-direct --extra simulator -o $(VENV)-lock/lowest >$(VENV)-lock/log
	{ sed -n '/^#/p' requirements-oldest.txt; $(UV_COMPILE) --extra simulator --extra test \
	    -c $(VENV)-lock/lowest --no-annotate --no-header; } >requirements-oldest.new
	mv requirements-oldest.new requirements-oldest.txt
	rm -rf $(VENV)-lock

hosts:
	tests/hosts/install.sh

generate: $(VENV)/.test
	$(BIN)/python -m tools.generate

$(VENV)/.docs: $(VENV)/.test
	$(BIN)/pip install -q -c requirements-dev.txt -e '.[docs]'
	@touch $@

# The variable silences a note about the future of MkDocs, which is no warning about these pages.
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

$(VENV)/.dist: $(VENV)/.test
	$(BIN)/pip install -q -e '.[dist]'
	@touch $@

dist: $(VENV)/.dist
	rm -f dist/*.whl dist/*.tar.gz
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*.whl dist/*.tar.gz

zipapp: $(VENV)/.test
	$(BIN)/python -m tools.zipapp

# dpkg-buildpackage would put the package beside the checkout. What else it makes is removed at the end.
DEB_PACKAGES := bash-completion debhelper dh-python git python3-pip
deb:
	@dpkg-checkbuilddeps -I 2>/dev/null || \
	    { echo 'make deb: as root, first run: apt-get install --no-install-recommends $(DEB_PACKAGES)' >&2; exit 1; }
	@mkdir -p dist && rm -f dist/devlxdctl_*.deb
	DEB_DESTDIR=dist dpkg-buildpackage --ignore-builtin-builddeps --rules-target=clean,binary,clean

$(VENV)/.release: $(VENV)/.test
	$(BIN)/pip install -q -c requirements-dev.txt -e '.[release]'
	@touch $@

release-check: $(VENV)/.release
	$(BIN)/python -m tools.release

# Their names do not begin with test_, so that only this target runs them.
test-guests: hosts zipapp deb
	$(BIN)/python -m pytest -v $(or $(GUEST_FLAGS),-n 3 --dist loadfile) tests/guests/on_debian.py tests/guests/on_deb.py \
	    tests/guests/on_deb_build.py tests/guests/on_files.py tests/guests/on_pythons.py

clean:
	rm -rf $(VENV) $(VENV)-oldest dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis
