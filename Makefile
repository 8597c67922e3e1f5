# Kedge's front door. `make demo` shows it work, `make test` proves it.
.PHONY: help setup build test demo run format clean
help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1  - /p' Makefile
