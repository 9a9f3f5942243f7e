# What people type. The work is in crates/xtask.

.PHONY: help up down test test-faults test-isolation check bench bench-edge bench-auth fuzz fuzz-api
.DEFAULT_GOAL := help

help: ## these lines
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' Makefile

up: ## install what is missing, build, run everything until Ctrl-C
	@cargo run --release --bin xtask -- up

down: ## end a running `make up`, and what an interrupted one has left
	@cargo run --release --bin xtask -- down

test: ## every test, on real servers
	@cargo xtask test

test-faults: ## Redis and a service stopped, killed, slow and worse, and 3x overload: figures and bounds, five minutes
	@cargo run --release --bin xtask -- test-faults

test-isolation: ## the services without their owner filters: row-level security alone keeps users apart
	@cargo xtask test-isolation

check: ## format, lints, docs, dependencies, contract, committed files
	@cargo xtask check

bench: ## the figures of docs/bench.md, measured on this machine
	@cargo run --release --bin xtask -- bench

bench-edge: ## the edge alone, beside Envoy: the figures of docs/bench-edge.md
	@cargo run --release --bin xtask -- bench-edge

bench-auth: ## log-ins, refreshes, checks of tokens, a flood, and the time of refusals: the figures of docs/bench-auth.md
	@cargo run --release --bin xtask -- bench-auth

fuzz: ## any bytes at all into the transcoder, a minute for each target
	@cargo xtask fuzz

fuzz-api: ## schemathesis over /openapi.json of a platform of its own, some minutes
	@cargo xtask fuzz-api
