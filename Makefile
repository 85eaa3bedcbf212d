# `make demo` shows the tool on a simulated guest, `make test` runs everything that this machine can run.

PYTHON ?= python3
OLDEST ?= python3.10
VENV := .venv
BIN := $(VENV)/bin
# Most tests wait for a program, so more of them than processors run at a time.
PYTEST_FLAGS ?= -n 4 --dist worksteal

.PHONY: help demo test lint bench hosts generate dist zipapp deb test-guests fuzz soak audit lock clean

help:
	@echo 'make demo    the main job on a simulated guest, in a virtual environment of its own'
	@echo 'make test    lint, types and tests; with real hosts where `make hosts` installed them, as root'
	@echo 'make bench   what it costs beside curl and others: a table; with GROWTH=1 how that grows, as a plot too'
	@echo 'make hosts   install LXD, Incus and what else the tests can use (Debian, as root)'
	@echo 'make generate   the man pages, completions and lists that derive from the command line'
	@echo 'make dist    sdist and wheel in dist/, checked'
	@echo 'make zipapp  dist/devlxdctl.pyz, the program as one file for guests'
	@echo 'make deb     dist/devlxdctl_VERSION_all.deb, the package for Debian 12 or later and Ubuntu 22.04 or later'
	@echo 'make test-guests   the file and the package in Debian 12, 13 and testing guests, and other Pythons, as root'
	@echo 'make fuzz    FUZZ_SECONDS (60) of a fuzzer over all that reads what a host sends'
	@echo 'make soak    long runs against a real Incus, as root, and the simulator: minutes; ARGS=--help'
	@echo 'make audit   the locked versions against the published advisories; needs the network'
	@echo 'make lock    write requirements-dev.txt anew: the newest versions that fit together'
	@echo 'make clean   remove what the others made'

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

$(VENV)/.bench: $(VENV)/pyvenv.cfg pyproject.toml
	$(BIN)/pip install -q -e '.[bench]'
	@touch $@ $(VENV)/.test $(VENV)/.simulator

# ARGS go to the program: `make bench ARGS='--help'`
bench: $(VENV)/.bench
	$(BIN)/python -m tests.bench $(if $(GROWTH),--growth) $(ARGS)

fuzz: $(VENV)/.test
	$(BIN)/pip install -q -c requirements-dev.txt -e '.[fuzz]'
	$(BIN)/python -m tests.fuzz $(or $(FUZZ_SECONDS),60)

soak: $(VENV)/.test
	$(BIN)/python -m tests.soak $(ARGS)

# Fails where something is known, and where nothing can be known, in which case there is no build/audit.json.
audit: $(VENV)/.test
	$(BIN)/pip install -q -c requirements-dev.txt -e '.[audit]'
	@mkdir -p build && rm -f build/audit.json
	$(BIN)/pip-audit --no-deps --disable-pip -r requirements-dev.txt -f json -o build/audit.json
	@$(BIN)/python -c 'import json; all = json.load(open("build/audit.json"))["dependencies"]; \
	  print(sum("skip_reason" in each for each in all), "of", len(all), "are not known to the service")'

lock:
	rm -rf $(VENV)-lock
	$(OLDEST) -m venv $(VENV)-lock
	$(VENV)-lock/bin/pip install -q -e '.[test,fuzz]'
	{ sed -n '/^#/p' requirements-dev.txt; $(VENV)-lock/bin/pip freeze --exclude-editable; } >requirements-dev.new
	mv requirements-dev.new requirements-dev.txt
	rm -rf $(VENV)-lock

hosts:
	tests/hosts/install.sh

generate: $(VENV)/.test
	$(BIN)/python -m tools.generate

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

# Not named as tests, so that only this runs them.
test-guests: hosts zipapp deb
	$(BIN)/python -m pytest -v tests/guests/on_debian.py tests/guests/on_deb.py tests/guests/on_deb_build.py \
	    tests/guests/on_pythons.py

clean:
	rm -rf $(VENV) dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis
