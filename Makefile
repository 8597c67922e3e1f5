# Kedge's front door. `make demo` shows it work, `make test` proves it.
.PHONY: help setup build test coverage demo powercut budget run format clean
JOBS ?= $(shell nproc)

help: ## this list
	@echo "Kedge: firmware updates for ESP32 fleets that stop themselves."
	@sed -n 's/^\([a-z]*\):.*## /  make \1  - /p' Makefile

setup: ## install what Kedge needs (Debian packages of tools/packages.txt)
	@tools/setup

build: setup ## build optimised and hardened, into build/release
	@cmake --preset release >/dev/null
	@cmake --build build/release -j $(JOBS)

test: setup ## build with sanitizers and run every test
	@cmake --preset test >/dev/null
	@cmake --build build/test -j $(JOBS)
	@ctest --preset test -j $(JOBS)

coverage: setup ## lines of ports/esp_idf that its tests reach; fails under 90 %
	@cmake --preset coverage >/dev/null
	@cmake --build --preset coverage -j $(JOBS)
	@find build/coverage -name '*.gcda' -delete
	@ctest --preset coverage -j $(JOBS)
	@tools/coverage build/coverage ports/esp_idf 90

demo: build ## 40 virtual devices, good and bad releases; KEEP=1 leaves it running
	@KEEP=$(KEEP) tools/demo

powercut: build ## cut the power at every flash operation; MUTANTS=1 proves that the sweep sees mistakes
	@if [ -n "$(MUTANTS)" ]; then tools/mutants; else build/release/bin/kedge-sim powercut; fi

budget: setup ## write tests/footprint/budget.txt anew: what the device code needs on an ESP32-C3
	@cmake --preset test >/dev/null
	@UPDATE=1 ctest --preset test -R footprint --verbose | sed -n 's/^[0-9]*: //p'

run: build ## start kedged and its broker; DATA=, HOST=, BROKER=host:port change the defaults
	@DATA=$(DATA) HOST=$(HOST) BROKER=$(BROKER) tools/run

format: ## clang-format every C file
	@git ls-files '*.c' '*.h' | xargs clang-format-14 -i

clean: ## remove build/ (var/, the data, stays)
	@rm -rf build
