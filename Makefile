# SPDX-License-Identifier: LGPL-2.1-or-later
#
# mxaccel: the MX1 accelerator as a QEMU device, its Linux driver, and its runtime.
# `make help` lists the targets. Each part adds itself by a build.mk of its own.

B       := build
CC      ?= cc
CFLAGS  ?= -O2 -g
CFLAGS  += -std=gnu11 -Wall -Wextra -Iuapi
LDFLAGS ?=

# Debian's two kernels; elsewhere the distribution's own.
KERNELS ?= $(if $(shell grep -x ID=debian /etc/os-release),6.1 6.12,native)
# The folder of a Hugging Face BERT model, and the chip it is mapped to.
MODEL   ?= $(B)/model-dir
CHIP    ?= mx1

ifndef MXACCEL_STARTED
export MXACCEL_STARTED := $(shell date +%s)
endif
STAGE    := scripts/stage
SUBMAKE  := $(MAKE) --no-print-directory
JOBS     := $(shell nproc)

BINS :=
LIBS :=
UNIT_TESTS :=
SELFTESTS :=

.DEFAULT_GOAL := help
.PHONY: help setup qemu kernels kernel-debug modules check-full host model bert-large parts demo check bench-analog lint clean
.DELETE_ON_ERROR:

include $(sort $(wildcard */build.mk */*/build.mk))

help:
	@echo 'make demo       build everything, boot the VM, answer questions with a real model'
	@echo '                (MODEL=DIR: another BERT folder)'
	@echo 'make check      build everything and run every test'
	@echo 'make check-full the same on the debug kernel as well, and under an IOMMU'
	@echo 'make kernel-debug  build that kernel: once, 10 minutes'
	@echo 'make setup      install the packages that are needed and missing'
	@echo 'make qemu       QEMU with the MX1 device           (QEMU_SRC=DIR: from this tree)'
	@echo 'make kernels    fetch the kernels: $(KERNELS)'
	@echo 'make modules    mxaccel.ko for each of them'
	@echo 'make host       libraries, tools, samples and test programs'
	@echo 'make model      fetch the model of the demo'
	@echo 'make bert-large a checkpoint of exactly its shape, mapped: build/bert-large.mxw'
	@echo 'make bench-analog  speed of analog products beside numpy'
	@echo 'make study      accuracy of a model on analog crossbars: tables and pictures'
	@echo 'make bench      speed beside peers, in one run (Documentation/bench.rst)'
	@echo 'make lint       checkpatch, kernel-doc, pahole, coccinelle, sparse, clang'
	@echo 'make clean      remove build/ (the cache stays: see scripts/lib.sh)'
	@echo './mxvm --help   how to run a command in the VM'

setup:
	@scripts/setup

qemu:
	@scripts/setup qemu run
	@scripts/qemu-build

kernels:
	@scripts/kernel-fetch $(KERNELS)

kernel-debug:
	@scripts/kernel-debug
	@scripts/kernel-module debug

modules: kernels
	@scripts/kernel-module $(KERNELS)

# What tests/run is to run, as one line per program.
host: $(LIBS) $(BINS) $(UNIT_TESTS) $(SELFTESTS)
	@mkdir -p $(B)
	@printf '%s\n' $(patsubst %,'unit %',$(UNIT_TESTS)) $(patsubst %,'selftest %',$(SELFTESTS)) \
		>$(B)/tests.list

model:
	@scripts/setup model

bert-large: $(B)/bin/mxmap
	@scripts/make-checkpoint bert-large-uncased
	$(B)/bin/mxmap $(B)/bert-large-uncased -o $(B)/bert-large.mxw --chip $(CHIP) \
		--name bert-large-uncased

# In this order also with -j: build.mk files ask pkg-config for what setup installs.
parts:
	@$(STAGE) 'packages' scripts/setup
	@$(STAGE) 'kernels $(KERNELS)' scripts/kernel-fetch $(KERNELS)
	+@$(STAGE) 'libraries, tools and tests' $(SUBMAKE) -j$(JOBS) host
	@$(STAGE) 'driver' scripts/kernel-module $(KERNELS)
	@$(STAGE) 'QEMU with the device' scripts/qemu-build

demo: parts
	@$(STAGE) 'mapping the model to chip $(CHIP)' scripts/demo map '$(MODEL)' '$(CHIP)'
	@$(STAGE) 'semantic search in the VM' scripts/demo run '$(CHIP)'

# Not a stage: the count is the last line. With the debug kernel if it was built before.
check: parts
	@! scripts/kernel-debug --cached || scripts/kernel-module debug
	@tests/run

check-full: parts
	@$(STAGE) 'debug kernel' $(SUBMAKE) kernel-debug
	@tests/run full

bench-analog:
	@$(or $(MXACCEL_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/mxaccel)/venv/bin/python3 \
		scripts/bench-analog

lint: kernels
	@scripts/lint $(KERNELS)

clean:
	rm -rf $(B)
