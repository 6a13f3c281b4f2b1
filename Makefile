# make           what can be made, and with which settings
# make compare   everything needed for the comparison is set up first
# make demo      from a trained network to silicon numbers; everything needed for it is set up first
# make report    the comparison as a page with figures, in build/report
# make test      everything needed for the tests is set up first

PYTHON ?= python3
VENV   ?= .venv
BITS   ?= 2,3,4
EXTRAS ?= sim,qat,place,cluster,docs,dev
APT    ?= yes
ARGS   ?=

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.SUFFIXES:
# The simulators start a make of their own, which must not inherit this one's flags.
unexport MAKEFLAGS MFLAGS MAKELEVEL

BIN      := $(VENV)/bin
PIP      := $(BIN)/python -m pip --disable-pip-version-check
PACKAGES := $(wildcard siliquant hwmodel rtl sim qat reports docs_tools)
comma    := ,
# Each stamp says: this set of packages is installed, from these two files.
BASE     := $(VENV)/.siliquant-base
FULL     := $(VENV)/.siliquant-$(subst $(comma),-,$(EXTRAS))
SOURCES  := pyproject.toml constraints.txt

.PHONY: help setup compare demo report test prove mutate mutation fuzz lint bench docs numbers clean debian-demo debian-test

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@printf '  %-14s %s\n' \
	    'BITS=$(BITS)' 'bit-widths to compare' \
	    'ARGS=' 'more arguments for the command that is run' \
	    'VENV=$(VENV)' 'folder of the virtual environment' \
	    'PYTHON=$(PYTHON)' 'interpreter it is made with, 3.11 to 3.14' \
	    'EXTRAS=$(EXTRAS)' 'parts installed beside the base: sim, qat, place, cluster, docs, dev' \
	    'APT=$(APT)' '"no": install no Debian package, only name what is missing'

setup: debian-test $(FULL) ## a virtual environment with everything the targets below need

compare: $(BASE) ## uniform against mixed-precision hardware, at BITS
	@$(BIN)/python -m hwmodel.compare --bits $(BITS) $(ARGS)

demo: debian-demo $(FULL) ## from a trained network to silicon numbers, in a few minutes
	@$(BIN)/python -m reports.demo $(ARGS)

report: $(FULL) ## the comparison as one page with figures, and its tables, in build/report
	@$(BIN)/python -m reports.render $(ARGS)

test: debian-test $(FULL) ## the tests
	@$(BIN)/python -m pytest $(ARGS)

prove: debian-test $(FULL) ## MACs compute what they are specified to, for all inputs: proofs, some minutes
	@$(BIN)/python -m sim.prove $(ARGS)

mutate: debian-test $(FULL) ## faults of the hardware, and how many of them the tests find: some minutes
	@$(BIN)/python -m sim.mutate $(ARGS)

mutation: debian-test $(FULL) ## changes of the Python that decides numbers, and which of them no test notices: an hour
	@$(BIN)/python -m tests.mutation $(ARGS)

fuzz: debian-test $(FULL) ## random designs, arrays and networks, until something differs: ARGS="--minutes 480"
	@$(BIN)/python -m sim.fuzz $(ARGS)

lint: $(FULL) ## ruff, mypy, and the layers of the packages
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m mypy $(PACKAGES)
	@$(BIN)/python -c 'from importlinter.cli import lint_imports_command as lint; lint()' --no-cache

bench: debian-test $(FULL) ## quality of the hardware, speed of simulation and of training
	@set -e; for script in benchmarks/qor.py benchmarks/model_speed.py benchmarks/rtl_speed.py benchmarks/qat_speed.py; do echo "$$script"; $(BIN)/python "$$script" $(ARGS); done

docs: $(FULL) ## the documentation as a site in build/site, to be read without a network
	@mkdir -p build
	@$(BIN)/python -m docs_tools.notebooks
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict $(ARGS) >build/docs.log 2>&1 || { cat build/docs.log >&2; exit 1; }
	@echo build/site/index.html

numbers: $(FULL) ## writes the numbers and outputs that the documentation shows anew, from models, rows and results
	@$(BIN)/python -m docs_tools.numbers --write $(ARGS)

clean: ## remove what was made, except the virtual environment
	@rm -rf build out dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	@find $(PACKAGES) tests -name __pycache__ -type d -prune -exec rm -rf {} +

debian-demo:
	@sh -c "$$DEBIAN" debian perl make g++ iverilog opensta

debian-test:
	@sh -c "$$DEBIAN" debian perl make g++ iverilog opensta libpython

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo 'siliquant: needs Python 3.11 or newer; name one with PYTHON=... (PYTHON is $(PYTHON))' >&2; exit 1; }
	@sh -c "$$DEBIAN" debian venv
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null
	@$(PYTHON) -m venv $(VENV)

$(BASE): $(SOURCES) | $(BIN)/python
	$(call install,.)
	@touch $@

$(FULL): $(SOURCES) | $(BIN)/python
	$(call install,.[$(EXTRAS)])
	@touch $@ $(BASE)

define install
@echo 'siliquant: installing "$(1)" into $(VENV); the first time takes a few minutes'
@$(PIP) --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
@$(PIP) install -qq --constraint constraints.txt --editable '$(1)'
endef

# sh -c "$$DEBIAN" debian PACKAGE...      venv and libpython stand for those of PYTHON's version
# Installs those of the Debian packages that are missing, where it may: as root or with a sudo that asks for
# no password. Otherwise it names them, and how to install them, and goes on. What could not be installed once
# is not tried again until the list changes.
define DEBIAN
has() {
    case $$1 in
        perl)       perl -MFindBin -MGetopt::Long -MPod::Usage -e 1 ;;
        opensta)    command -v sta ;;
        *-venv)     $(PYTHON) -c 'import ensurepip, venv' ;;
        libpython*) $(PYTHON) -c '$(find_libpython)' ;;
        *)          command -v "$$1" ;;
    esac >/dev/null 2>&1
}
why() {
    case $$1 in
        perl|make|g++) echo 'Verilator builds its simulations with it' ;;
        iverilog)      echo 'Icarus Verilog: small units, and glitches in measured power' ;;
        opensta)       echo 'static timing: without it nothing measured has clock periods or power' ;;
        *-venv)        echo 'makes the virtual environment' ;;
        libpython*)    echo 'the Python library that cocotb loads into the simulator' ;;
    esac
}
lacking() {
    for package; do
        case $$package in
            venv|libpython) version=$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])') ;;
        esac
        case $$package in
            venv)      package=python$$version-venv ;;
            libpython) package=libpython$$version ;;
        esac
        has "$$package" || printf ' %s' "$$package"
    done
}
missing=$$(lacking "$$@")
[ -n "$$missing" ] || exit 0
mkdir -p '$(VENV)'
tried='$(VENV)/.debian-tried'
as_root=no
if [ '$(APT)' = yes ] && command -v apt-get >/dev/null && [ "$$(cat "$$tried" 2>/dev/null)" != "$$missing" ]; then
    if [ "$$(id -u)" = 0 ]; then as_root=env
    elif sudo -n true 2>/dev/null; then as_root='sudo -n env'
    fi
fi
if [ "$$as_root" != no ]; then
    echo "siliquant: installing the Debian packages$$missing"
    log=$$(mktemp)
    apt="$$as_root DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120"
    $$apt update >"$$log" 2>&1 || cat "$$log" >&2
    for package in $$missing; do
        $$apt install -y --no-install-recommends "$$package" >"$$log" 2>&1 </dev/null || cat "$$log" >&2
    done
    rm -f "$$log"
    missing=$$(lacking "$$@")
    [ -n "$$missing" ] || exit 0
    printf '%s' "$$missing" >"$$tried"
fi
echo 'siliquant: missing on this machine:' >&2
for package in $$missing; do printf '    %-14s %s\n' "$$package" "$$(why "$$package")" >&2; done
echo "  On Debian or Ubuntu: sudo apt-get install$$missing" >&2
endef
export DEBIAN

find_libpython := import ctypes, os, sysconfig; \
    name = "libpython" + sysconfig.get_config_var("LDVERSION") + ".so.1.0"; \
    path = os.path.join(sysconfig.get_config_var("LIBDIR"), name); \
    ctypes.CDLL(path if os.path.exists(path) else name)
