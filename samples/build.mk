# SPDX-License-Identifier: LGPL-2.1-or-later
# The samples, which need mxrt.h and libmxrt only.

BINS += $(B)/bin/semantic-search $(B)/bin/first

SEARCH := samples/semantic-search

$(B)/bin/semantic-search: $(wildcard $(SEARCH)/*.[ch]) libmxrt/mxrt.h $(B)/lib/libmxrt.a \
		samples/build.mk
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -D_GNU_SOURCE -Ilibmxrt -DSENTENCES_FILE='"$(CURDIR)/$(SEARCH)/sentences.txt"' \
		$(LDFLAGS) -o $@ $(wildcard $(SEARCH)/*.c) $(B)/lib/libmxrt.a $(MXRT_LIBS)

$(B)/bin/first: samples/first-program/first.c libmxrt/mxrt.h $(B)/lib/libmxrt.a samples/build.mk
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -D_GNU_SOURCE -Ilibmxrt $(LDFLAGS) -o $@ $< $(B)/lib/libmxrt.a $(MXRT_LIBS)
