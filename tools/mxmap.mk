# SPDX-License-Identifier: LGPL-2.1-or-later
# The tokenizer's test programs. The fuzzed one runs under the sanitizers.

TOKENIZER_SRCS := libmxrt/tokenizer.c libmxrt/tokenizer_unicode.c

UNIT_TESTS += $(B)/tests/test_tokenizer
BINS += $(B)/tests/tokenize

$(B)/tests/tokenize: tests/e2e/tokenize.c $(TOKENIZER_SRCS) $(wildcard libmxrt/tokenizer*.h)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -Ilibmxrt -fsanitize=address,undefined -fno-sanitize-recover=all \
		$(LDFLAGS) -o $@ tests/e2e/tokenize.c $(TOKENIZER_SRCS) -lutf8proc

$(B)/tests/test_tokenizer: tests/unit/test_tokenizer.c $(TOKENIZER_SRCS) \
		$(wildcard libmxrt/tokenizer*.h)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -Ilibmxrt -fsanitize=address,undefined -fno-sanitize-recover=all \
		$(LDFLAGS) -o $@ tests/unit/test_tokenizer.c $(TOKENIZER_SRCS) -lcmocka -lutf8proc
