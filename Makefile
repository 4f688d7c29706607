# Everything a person or a machine runs here. `make` lists it.
#   make serve                         on http://127.0.0.1:8000; HYOJO_HOST and HYOJO_PORT change that
#   make test ARGS="tests/unit -k bundle"

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?=
ARGS ?=
IMAGE ?= hyojo
# Extra options of `docker build`; CA is a file of certificates that pip trusts during the build.
BUILD_ARGS ?=
CA ?=
export PYTHON

.PHONY: help serve test soak lint bench scale train onnx ray local image sbom lock audit clean

help: ## List what can be made
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16

serve: $(VENV)/.installed ## Serve in the foreground until Ctrl-C
	@exec $(BIN)/python -m service

test: $(VENV)/.installed-test ## Run every test, style and types among them; ARGS go to pytest
	@.ci/packages chromium fonts-dejavu-core kubernetes-client || [ -z "$$CI" ]
	@.ci/test $(ARGS)

soak: $(VENV)/.installed-fuzzing ## Try to break it for long: faults, bad input and the figures of training, in full amounts
	@HYOJO_TEST_SOAK=1 $(BIN)/python -m pytest $(if $(ARGS),$(ARGS),tests/chaos tests/contract tests/readme tests/unit \
	    tests/browser tests/ray tests/worker/test_own_classes.py tests/container/test_hardships.py)

lint: $(VENV)/.installed-test ## Check style and types only
	@$(BIN)/ruff check .
	@$(BIN)/mypy

bench: $(VENV)/.installed-onnx ## Measure everything against its goals: bench/RESULTS.md
	@$(BIN)/python -m bench.peers.environment
	@$(BIN)/python -m bench $(ARGS)

scale: $(VENV)/.installed-test ## Measure this machine under load and simulate it, and many: docs/SCALE.md
	@exec $(BIN)/python -m bench.scale $(ARGS)

train: $(VENV)/.installed ## Train: make train ARGS="--data FOLDER"
	@exec $(BIN)/python train.py $(ARGS)

onnx: $(VENV)/.installed-onnx ## Write a model as ONNX: make onnx ARGS="--model emotion"
	@$(BIN)/python -m models.export --format onnx $(if $(ARGS),$(ARGS),--model emotion)

ray: $(VENV)/.installed-ray ## Serve on a Ray cluster: of this machine, or make ray ARGS="--address HOST:PORT"
	@exec $(BIN)/python -m service.ray_app $(ARGS)

local: $(VENV)/.installed-onnx ## Make the page that needs no server, for any static host: build/local
	@$(BIN)/python -m models.local $(ARGS)

image: ## Build the container's image
	DOCKER_BUILDKIT=1 docker build $(BUILD_ARGS) $(if $(CA),--secret id=ca$(comma)src=$(CA)) -f docker/Dockerfile -t $(IMAGE) .

sbom: ## Print what the image is made of, as CycloneDX JSON
	@docker run --rm --network none $(IMAGE) cat /srv/hyojo/sbom.cdx.json

LISTS := requirements requirements-onnx requirements-ray tests/requirements tests/fuzzing docker/requirements docker/tools
export UV_CUSTOM_COMPILE_COMMAND := make lock

lock: $(VENV)/.installed-test ## Write the locks anew from the lists of requirements: every package, with its hashes
	@for list in $(LISTS); do \
	    held=; [ $$list = requirements ] || held="-c requirements.lock"; \
	    $(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url \
	        --no-emit-find-links $$held $$list.txt -o $$list.lock $(ARGS) || exit 1; \
	done

# opencv-python is installed for its name alone: `.ci/environment` puts the headless build's files over its own.
# paddle2onnx takes no onnx after 1.17: what is known against that one is in reading and writing other people's files
# with external data, in its hub, and in converting between its versions. Here it only holds what the converter has just made.
# certifi before 2026.10.19 is named for a root whose keys were stolen; 2026.10.18 does not hold it (tests/unit/test_locks.py).
IGNORED := PYSEC-2023-183 GHSA-qr4w-53vh-m672 \
    CVE-2025-51480 CVE-2026-27489 CVE-2026-28500 CVE-2026-34445 CVE-2026-34446 CVE-2026-34447 CVE-2026-44512 \
    CVE-2026-49114 GHSA-q56x-g2fj-4rj6 CVE-2026-63632 GHSA-p893-rvq9-2xf9 \
    CVE-2026-111943 GHSA-6q48-6c7w-9gw2

audit: $(VENV)/.installed-test ## Look the locked packages up among known vulnerabilities (needs the internet)
	@for list in $(LISTS); do \
	    echo "$$list.lock"; \
	    $(BIN)/pip-audit --strict --disable-pip --require-hashes --progress-spinner off \
	        $(IGNORED:%=--ignore-vuln %) -r $$list.lock $(ARGS) || exit 1; \
	done

clean: ## Remove caches and the tests' output; .venv stays
	@rm -rf .pytest_cache .ruff_cache .mypy_cache .hypothesis test-output build
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

comma := ,

$(VENV)/.installed: requirements.lock
	@.ci/environment $(VENV) requirements.lock
	@touch $@

$(VENV)/.installed-onnx: requirements-onnx.lock $(VENV)/.installed
	@.ci/environment $(VENV) requirements-onnx.lock
	@touch $@

$(VENV)/.installed-ray: requirements-ray.lock $(VENV)/.installed
	@.ci/environment $(VENV) requirements-ray.lock
	@touch $@

$(VENV)/.installed-fuzzing: tests/fuzzing.lock $(VENV)/.installed-test
	@.ci/environment $(VENV) tests/fuzzing.lock
	@touch $@

$(VENV)/.installed-test: tests/requirements.lock $(VENV)/.installed
	@.ci/environment $(VENV) tests/requirements.lock
	@touch $@
