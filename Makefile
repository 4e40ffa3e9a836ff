# What a contributor does here. `make help` lists it.
.DEFAULT_GOAL := help
.PHONY: help venv host-packages test-packages demo demo-down test check lint unit contract resilience bench fleet integration molecule game-day \
  lock clean rule-checkers

VENV := .venv
BIN := $(VENV)/bin
# Processes of one suite of tests.
PROCESSES ?= 2
LOCKS := $(addprefix requirements/,bootstrap.lock dev.lock ice.lock ice-build.lock build_ice_wheel.py zeroc-ice-3.6.5.patch)
# Tools find each other's programs, and the tests find the rule checkers.
export PATH := $(CURDIR)/$(BIN):$(PATH)
SCENARIOS := $(notdir $(patsubst %/molecule.yml,%,$(wildcard molecule/*/molecule.yml)))

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' | \
	  awk -F'|' '{printf "  make %-15s %s\n", $$1, $$2}'

demo: host-packages venv ## Build and deploy a small nation on this machine, and check it (root)
	@$(BIN)/bic sandbox demo

demo-down: venv ## Remove all that the demo made: hosts, mounts, bridge, firewall rules
	@$(BIN)/bic sandbox down

# Tests of servers and hosts run beside each other. Those of nations take longest, so the others step back for them.
test: test-packages venv rule-checkers ## Run all tests
	@$(MAKE) --jobs=2 unit lint
	@$(MAKE) --jobs=4 ASIDE='nice -n 5' PROCESSES=1 integration game-day molecule contract fleet resilience

check: venv rule-checkers lint unit ## What to run before each commit: no root needed, a few minutes

lint: venv ## Formats, types, and the lint rules of Python, YAML and Ansible
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/yamllint --strict .
	$(BIN)/ansible-lint --offline

unit: venv ## Tests of pure code and of single modules
	$(BIN)/pytest -n 2 --dist worksteal tests/unit

contract: venv ## Tests of the clients against the stand-ins, or against real servers (see CONTRIBUTING.md)
	$(ASIDE) $(BIN)/pytest -n $(PROCESSES) --dist loadfile tests/contract

resilience: venv ## Applies that are killed at every point, and servers that fail in every way
	$(ASIDE) $(BIN)/pytest -n $(PROCESSES) --dist loadfile tests/resilience tests/bench

bench: venv ## Benchmarks: ratios measured in one run against one server; half an hour
	$(BIN)/python tests/bench/bench.py

molecule: venv ## Each role by itself on hosts of its own (root)
	@$(ASIDE) molecule/run $(SCENARIOS)

integration: venv ## The whole nation on a fleet of its own (root)
	$(BIN)/pytest tests/integration

game-day: venv ## Faults on a nation of their own, what is told of each, and the runbooks' commands (root)
	$(BIN)/pytest -s tests/game_day

fleet: venv ## The fleet by itself, and on a fresh machine (root)
	$(ASIDE) $(BIN)/pytest tests/fleet

venv: $(VENV)/.locked ## Make or update the virtual environment from the lock files

$(VENV)/.locked: $(LOCKS) pyproject.toml
	@requirements/make-venv $(VENV)

rule-checkers: $(BIN)/promtool ## Put promtool and amtool beside the other tools (no service is installed)

$(BIN)/promtool: | venv
	@monitoring/fetch-rule-checkers $(BIN)

host-packages: ## Install the Debian packages that this machine lacks (root)
	@sandbox/install-host-packages

test-packages: ## Install them, and the browser that looks at pages in the tests (root)
	@sandbox/install-host-packages chromium

lock: venv ## Renew the lock files
	@requirements/make-locks $(BIN)/uv

clean: ## Remove the virtual environment and what tools cached here
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .ansible build dist
