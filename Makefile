# The front door. Each target is one script; `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
# Node comes from the lock file (npm package node-linux-*), never from the machine.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
STAMP := node_modules/.package-lock.json

.PHONY: help demo quickstart test check build image lab-up lab-down lab-status bench fuzz differential format clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

$(STAMP): package.json package-lock.json
	@scripts/install.sh

demo: $(STAMP) ## a real cluster with Istio, our chart and bookinfo, from nothing, on this machine
	@node scripts/demo.ts

quickstart: $(STAMP) ## one pod-like netns with the real Envoy; no cluster; two minutes
	@node scripts/quickstart.ts

check: $(STAMP) ## format, lint, types, dead code, import rules, unit tests (some two minutes)
	@node scripts/check.ts

test: $(STAMP) ## everything: check, kernel tests, the tests on the lab's cluster
	@node scripts/test.ts

build: $(STAMP) ## bin/istio-pod-network-controller
	@node scripts/build.ts

image: $(STAMP) ## the container image, as an OCI archive in dist/
	@node scripts/build.ts && node image/build.ts

lab-up: $(STAMP) ## start the lab: Kubernetes, containerd, Istio, Envoy (LAB_ARGS="--istio-cni --kubernetes=1.35 --runtime=docker")
	@node lab/main.ts up $(LAB_ARGS)

lab-down: $(STAMP) ## stop the lab and leave nothing behind
	@node lab/main.ts down

lab-status: $(STAMP) ## what of the lab runs
	@node lab/main.ts status

bench: $(STAMP) ## measurements, side by side with the alternatives: bench/RESULTS.md (ARGS="a f" or ARGS=--report-only)
	@node bench/main.ts $(ARGS)

fuzz: $(STAMP) ## a million hostile values for everything a pod can set (ARGS="--values N --seed N")
	@node scripts/fuzz.ts $(ARGS)

differential: $(STAMP) ## simulator against kernel, our rules against Istio's, by packets (ARGS="--policies N --seed N")
	@node scripts/differential.ts $(ARGS)

format: $(STAMP) ## rewrite formatting
	@biome format --write .

clean: ## remove what was built here (the lab's parts stay in the cache)
	rm -rf bin dist node_modules
