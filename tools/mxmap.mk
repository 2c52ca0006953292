# SPDX-License-Identifier: LGPL-2.1-or-later
# mxmap: maps a Hugging Face folder to a model image.

BINS += $(B)/bin/mxmap

MXMAP_SRCS := $(addprefix tools/,mxmap.c mxmap_report.c safetensors.c hf_config.c hf_tokenizer.c \
	plan.c program.c checkpoint.c heads.c quantise.c image_writer.c golden.c trial.c card.c \
	mxmap_options.c mapping_write.c calibrate.c calibrate_report.c calibrate_run.c calibration_text.c smooth.c \
	place_report.c place_print.c chip_file.c)
MXMAP_HDRS := $(addprefix tools/,mxmap.h safetensors.h hf_config.h hf_tokenizer.h program.h \
	checkpoint.h heads.h quantise.h image_writer.h golden.h card.h place_report.h chip_file.h \
	trial.h mapping.h mxmap_options.h calibrate.h calibrate_run.h calibration_text.h smooth.h) \
	$(wildcard uapi/*.h qemu-device/chip/*.h) libmxrt/mxrt.h libmxrt/tokenizer.h

$(B)/bin/mxmap: $(MXMAP_SRCS) $(MXMAP_HDRS) $(B)/lib/libmxrt.a tools/mxmap.mk
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(MXRT_CPPFLAGS) -Itools $(LDFLAGS) -o $@ $(MXMAP_SRCS) \
		$(B)/lib/libmxrt.a -ljansson $(MXRT_LIBS) -lm

# The tokenizer's test programs run under the sanitizers.

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
