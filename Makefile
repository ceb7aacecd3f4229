# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# "make help" lists the targets. Kbuild reads the file of that name, not this one.

KDIR ?= /lib/modules/$(shell uname -r)/build

# Where everything goes that is built in the checkout.
BUILD := $(CURDIR)/build

# Passed on to the module's build when given.
KMOD_ARGS := $(foreach v,W C CC LLVM ARCH CROSS_COMPILE PAGEARENA_KUNIT V,$(if $($(v)),$(if \
	$(filter command environment override,$(firstword $(origin $(v)))),$(v)=$($(v)))))

# libpagearena-malloc.so is built where jemalloc is: Debian has it in libjemalloc-dev.
JEMALLOC := $(wildcard $(filter /%,$(shell $(CC) -print-file-name=libjemalloc_pic.a)))
# The manual pages are made where docutils are.
DOCUTILS := $(shell python3 -c 'import docutils; print("yes")' 2>/dev/null)

.DEFAULT_GOAL := all
.PHONY: all modules lib tools tests install demo check lint clean cache-info cache-clean help
.PHONY: bench bench-compare malloc man install-man
.PHONY: check-tutorial
.PHONY: check-lint check-docs check-model check-heap check-lib check-device-stock check-kunit \
	check-device-debug

all: lib tools $(if $(JEMALLOC),malloc)

help:
	@echo 'Two commands to begin with:'
	@echo '  make demo                 replay two real programs on an arena, in a virtual machine'
	@echo '  make check                run all tests'
	@echo
	@echo 'To build:'
	@echo '  make modules [KDIR=...]   the module, for the kernel whose headers are in KDIR'
	@echo '  make lib                  libpagearena, shared and static, and its examples'
	@echo '  make tools                the command "pagearena"'
	@echo '  make malloc               libpagearena-malloc.so, for "pagearena run" (libjemalloc-dev)'
	@echo '  make man                  the manual pages, in build/man (python3-docutils)'
	@echo '  make tests                what the tests run in a virtual machine'
	@echo '  make                      library and tools'
	@echo '  make install              library and tools to PREFIX (/usr/local)'
	@echo '  make clean                remove build/'
	@echo
	@echo 'To measure (Documentation/performance.rst):'
	@echo '  make bench                count what operations cost, with and without an arena'
	@echo '  make bench-compare A=CSV B=CSV [LIMIT=PERCENT]'
	@echo '                            compare two runs; with a limit, fail if a row is worse'
	@echo
	@echo 'One step of the tests:'
	@echo '  make lint                 warnings, sparse, checkpatch, shellcheck'
	@echo '  make check-lint           the same, counted'
	@echo '  make check-docs           the documents: examples, names, links'
	@echo '  make check-tutorial       the commands of the tutorial'
	@echo '  make check-model          the protocol of a chunk, as a model'
	@echo '  make check-heap           the span heap in user space'
	@echo '  make check-lib            header and symbols of the library'
	@echo '  make check-device-stock   device, library, tools on the stock kernel'
	@echo '  make check-kunit          unit tests in the test kernel'
	@echo '  make check-device-debug   device, library, tools on the test kernel'
	@echo
	@echo 'Kernels that were downloaded and built are kept outside the checkout:'
	@echo '  make cache-info           what is there'
	@echo '  make cache-clean          remove it'

modules:
	@scripts/kmod $(KDIR) $(KMOD_ARGS)

lib:
	$(MAKE) -C userlib O=$(BUILD)/userlib

tools:
	$(MAKE) -C tools O=$(BUILD)/tools

malloc:
	$(MAKE) -C userlib/malloc O=$(BUILD)/malloc

man: tools
	@scripts/man $(BUILD)/man

tests:
	$(MAKE) -C userlib O=$(BUILD)/static/userlib STATIC=1 all
	$(MAKE) -C tools O=$(BUILD)/static/tools STATIC=1 all
	$(MAKE) -C selftests/tools O=$(BUILD)/static/tools-tests all
	$(MAKE) -C selftests/device O=$(BUILD)/static/device STATIC=1 all

install: all
	$(MAKE) -C userlib O=$(BUILD)/userlib install
	$(if $(JEMALLOC),$(MAKE) -C userlib/malloc O=$(BUILD)/malloc install)
	$(MAKE) -C tools O=$(BUILD)/tools install
	$(if $(DOCUTILS),$(MAKE) install-man)

# PREFIX and DESTDIR as for the parts.
install-man: man
	@for s in 1 3 4 7; do \
		d="$(DESTDIR)$(or $(PREFIX),/usr/local)/share/man/man$$s"; \
		install -d "$$d" && install -m 644 $(BUILD)/man/man$$s/* "$$d/" || exit; \
	done

demo:
	@scripts/demo $(DEMO)

# BENCH: options, see selftests/bench/run-bench --help
bench:
	@selftests/bench/run-bench $(BENCH)

bench-compare:
	@selftests/bench/report compare $(if $(LIMIT),--limit $(LIMIT)) $(A) $(B)

check:
	@scripts/check

lint:
	@scripts/lint

check-lint check-docs check-tutorial check-model check-heap check-lib check-device-stock \
	check-kunit check-device-debug:
	@scripts/check $(@:check-%=%)

clean:
	rm -rf $(BUILD)

cache-info:
	@scripts/kernel info

cache-clean:
	@scripts/kernel clean
