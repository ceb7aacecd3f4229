# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# "make help" lists the targets. Kbuild reads the file of that name, not this one.

# The version of everything in here but the ABI, which has its own.
VERSION := 0.1.0

KDIR ?= /lib/modules/$(shell uname -r)/build

# Where "make install" puts things; DESTDIR is put in front of all of them.
PREFIX ?= /usr/local
UDEVDIR ?= $(PREFIX)/lib/udev/rules.d
TRACINGDIR ?= $(PREFIX)/share/pagearena/tracing

# Where everything goes that is built in the checkout.
BUILD := $(CURDIR)/build

# What the parts need to know of the above.
export PREFIX DESTDIR

# Passed on to the module's build when given.
KMOD_ARGS := $(foreach v,W C CC LLVM ARCH CROSS_COMPILE PAGEARENA_KUNIT \
	PAGEARENA_ANY_KERNEL V,$(if $($(v)),$(if \
	$(filter command environment override,$(firstword $(origin $(v)))),$(v)=$($(v)))))

# libpagearena-malloc.so is built where jemalloc is: Debian has it in libjemalloc-dev.
JEMALLOC := $(wildcard $(filter /%,$(shell $(CC) -print-file-name=libjemalloc_pic.a)))
# The manual pages are made where docutils are.
DOCUTILS := $(shell python3 -c 'import docutils; print("yes")' 2>/dev/null)

.DEFAULT_GOAL := all
.PHONY: all modules lib tools tests malloc man install uninstall demo check lint clean \
	cache-info cache-clean help
.PHONY: install-man install-udev install-tracing modules_install modules_uninstall sign deb
.PHONY: bench bench-compare coverage fuzz soak
.PHONY: check-lint check-docs check-syzlang check-tutorial check-install check-abi check-model \
	check-heap check-lib check-device-stock check-kunit check-device-debug check-matrix \
	check-debug check-arm64 golden try

all: lib tools $(if $(JEMALLOC),malloc) $(if $(DOCUTILS),man)

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
	@echo '  make                      library and tools; malloc and man where they can be built'
	@echo '  make clean                remove build/'
	@echo
	@echo 'To install (Documentation/install.rst); DESTDIR=... goes in front of every path:'
	@echo '  make install              library, tools and udev rule to PREFIX (/usr/local)'
	@echo '  make modules_install [KDIR=...]    the module'
	@echo '  make sign KEY=... CERT=...         sign the module that "make modules" built'
	@echo '  make deb                  Debian packages, in build/deb'
	@echo '  make uninstall            remove all that, the module for KDIR too'
	@echo
	@echo 'To measure (Documentation/performance.rst):'
	@echo '  make bench                count what operations cost, with and without an arena'
	@echo '  make bench-compare A=CSV B=CSV [LIMIT=PERCENT]'
	@echo '                            compare two runs; with a limit, fail if a row is worse'
	@echo
	@echo 'One step of the tests:'
	@echo '  make try TEST="PROGRAM [SUBTEST]"  one of selftests/device in a virtual machine'
	@echo '  make lint                 warnings, sparse, checkpatch, shellcheck'
	@echo '  make check-lint           the same, counted'
	@echo '  make check-docs           the documents: examples, names, links'
	@echo '  make check-syzlang        the description of the ABI for syzkaller'
	@echo '  make check-tutorial       the commands of the tutorial'
	@echo '  make check-install        install, sign, DKMS; the packages in a fresh Debian'
	@echo '  make check-abi            the ABI against the one that is on record'
	@echo '  make check-model          the protocol of a chunk, as a model'
	@echo '  make check-heap           the span heap in user space'
	@echo '  make check-lib            header and symbols of the library, C++ and Rust'
	@echo '  make check-device-stock   device, library, tools on the stock kernel'
	@echo '  make check-kunit          unit tests in the test kernel'
	@echo '  make check-device-debug   device, library, tools on the test kernel'
	@echo '  ... ONLY="abi huge lib"   of the last, only these programs'
	@echo
	@echo 'The same tests many times, for hours rather than minutes:'
	@echo '  make check-matrix         on old and new kernels, with gcc and clang'
	@echo '  make check-debug          with KASAN and KCSAN, THP and preemption varied'
	@echo '  make check-arm64          on arm64, with pages of 4 and of 64 KiB'
	@echo '  ... MATRIX="ROW ..."      only these rows'
	@echo
	@echo '  make coverage             which lines of the module run in its tests'
	@echo '  make fuzz [OPS=N] [SEED=N] [KERNEL=stock|debug|fuzz]'
	@echo '                            random operations of several processes on an arena'
	@echo '  make soak [HOURS=0.5]     the same, with traces and without memory'
	@echo
	@echo 'To release (Documentation/releasing.rst):'
	@echo '  make golden               puts the ABI of this version on record, in abi/'
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

# Not anew by "sudo make install", whose files nobody else could write then.
MAN_SOURCES := scripts/man $(wildcard Documentation/man/*) $(wildcard tools/*.[ch]) \
	$(wildcard kmod/*.c) userlib/pagearena.h uapi/linux/pagearena.h

man: $(BUILD)/man/made

$(BUILD)/man/made: $(MAN_SOURCES) | tools
	@scripts/man $(BUILD)/man
	@touch $@

tests:
	$(MAKE) -C userlib O=$(BUILD)/static/userlib STATIC=1 all
	$(MAKE) -C bindings O=$(BUILD)/static/bindings USERLIB=$(BUILD)/static/userlib STATIC=1 all
	$(MAKE) -C tools O=$(BUILD)/static/tools STATIC=1 all
	$(MAKE) -C selftests/tools O=$(BUILD)/static/tools-tests all
	$(MAKE) -C selftests/device O=$(BUILD)/static/device STATIC=1 all
	$(MAKE) -C selftests/fuzz O=$(BUILD)/static/fuzz STATIC=1 all

install: all install-udev install-tracing
	$(MAKE) -C userlib O=$(BUILD)/userlib install
	$(MAKE) -C bindings install
	$(if $(JEMALLOC),$(MAKE) -C userlib/malloc O=$(BUILD)/malloc install)
	$(MAKE) -C tools O=$(BUILD)/tools install
	$(if $(DOCUTILS),$(MAKE) install-man)

install-man: man
	@for s in 1 3 4 7; do \
		d="$(DESTDIR)$(PREFIX)/share/man/man$$s"; \
		install -d "$$d" && install -m 644 $(BUILD)/man/man$$s/* "$$d/" || exit; \
	done

install-udev:
	install -d $(DESTDIR)$(UDEVDIR)
	install -m 644 udev/60-pagearena.rules $(DESTDIR)$(UDEVDIR)/

install-tracing:
	install -d $(DESTDIR)$(TRACINGDIR)
	install -m 755 tools/tracing/* $(DESTDIR)$(TRACINGDIR)/

modules_install: modules
	@scripts/kmod-install install $(KDIR)

modules_uninstall:
	@scripts/kmod-install uninstall $(KDIR)

# Without the kernel's headers there is no module to remove.
uninstall: $(if $(wildcard $(KDIR)/Makefile),modules_uninstall)
	$(MAKE) -C userlib O=$(BUILD)/userlib uninstall
	$(MAKE) -C bindings uninstall
	$(MAKE) -C userlib/malloc O=$(BUILD)/malloc uninstall
	rm -f $(foreach s,1 3 4 7,$(DESTDIR)$(PREFIX)/share/man/man$(s)/*pagearena*.$(s)*)
	$(MAKE) -C tools O=$(BUILD)/tools uninstall
	rm -f $(DESTDIR)$(UDEVDIR)/60-pagearena.rules
	rm -f $(addprefix $(DESTDIR)$(TRACINGDIR)/,$(notdir $(wildcard tools/tracing/*)))
	-rmdir $(DESTDIR)$(TRACINGDIR) $(dir $(DESTDIR)$(TRACINGDIR)) 2>/dev/null

deb:
	@scripts/deb

sign:
	@scripts/kmod-install sign $(KDIR) "$(KEY)" "$(CERT)"

demo:
	@scripts/demo $(DEMO)

# BENCH: options, see selftests/bench/run-bench --help
bench:
	@selftests/bench/run-bench $(BENCH)

bench-compare:
	@selftests/bench/report compare $(if $(LIMIT),--limit $(LIMIT)) $(A) $(B)

# FUZZ: more options, see selftests/fuzz/run-fuzz --help
fuzz:
	@selftests/fuzz/run-fuzz $(if $(KERNEL),--kernel $(KERNEL)) $(if $(OPS),--ops $(OPS)) \
		$(if $(SEED),--seed $(SEED)) $(FUZZ)

soak:
	@selftests/fuzz/soak --hours $(or $(HOURS),0.5) $(if $(KERNEL),--kernel $(KERNEL)) \
		$(if $(SEED),--seed $(SEED)) $(SOAK)

check:
	@scripts/check

lint:
	@scripts/lint

# COVERAGE=--update writes Documentation/figures/coverage.txt.
coverage:
	@scripts/coverage $(COVERAGE)

check-lint check-docs check-syzlang check-tutorial check-abi check-model check-heap check-lib \
	check-device-stock check-kunit check-device-debug:
	@ONLY='$(ONLY)' scripts/check $(@:check-%=%)

check-matrix check-debug check-arm64:
	@MATRIX='$(MATRIX)' RECORD='$(RECORD)' ONLY='$(ONLY)' scripts/$@

# TEST: a program of selftests/device, and parts of its subtests' names
try:
	@scripts/try $(TEST)

check-install:
	@scripts/check install packages

golden:
	@scripts/golden record

clean:
	rm -rf $(BUILD)

cache-info:
	@scripts/kernel info

cache-clean:
	@scripts/kernel clean
