// SPDX-License-Identifier: LGPL-2.1-or-later
/* Chip files: the shipped ones, and every way to get one wrong. */
#include <errno.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "chip.h"

/* Tests run from the top of the tree. */
#define CHIPS "qemu-device/chips/"

static char err[256];
static char good[16384];

static size_t load(const char *path, char *text, size_t room)
{
	FILE *file = fopen(path, "r");
	size_t bytes;

	if (!file)
		fail_msg("cannot open %s from here", path);
	bytes = fread(text, 1, room - 1, file);
	assert_true(bytes < room - 1);
	fclose(file);
	text[bytes] = '\0';
	return bytes;
}

static int load_good(void **state)
{
	(void)state;
	load(CHIPS "tiny.ini", good, sizeof(good));
	return 0;
}

static void reads_every_value_of_mx1(void **state)
{
	struct mx_chip_config c;
	char text[16384];
	size_t bytes = load(CHIPS "mx1.ini", text, sizeof(text));

	(void)state;
	if (mx_chip_config_parse(&c, "mx1", text, bytes, err, sizeof(err)))
		fail_msg("%s", err);
	assert_string_equal(c.name, "mx1");
	assert_string_equal(c.organisation, "synergy");
	assert_int_equal(c.clock_khz, 1000000);
	assert_int_equal(c.banks, 12);
	assert_int_equal(c.bank_rows, 1024);
	assert_int_equal(c.bank_cols, 65536);
	assert_int_equal(c.cell_bits, 4);
	assert_int_equal(c.intermediate_banks, 1);
	assert_int_equal(c.small_rows, 128);
	assert_int_equal(c.small_cols, 128);
	assert_int_equal(c.dac_bits, 1);
	assert_int_equal(c.adc_bits, 2);
	assert_int_equal(c.digit_bits, 1);
	assert_int_equal(c.fabric_macs, 36864);
	assert_int_equal(c.fabric_utilisation_percent, 85);
	assert_int_equal(c.layer_cycles, 1900);
	assert_int_equal(c.link_setup_cycles, 500);
	assert_int_equal(c.link_bytes_per_10_cycles, 33);
	assert_int_equal(c.max_models, 64);
	assert_int_equal(c.max_contexts, 256);
	assert_int_equal(c.max_buffers, 1024);
	assert_int_equal(c.max_io_bytes, 268435456);
	assert_int_equal(c.max_sg, 65536);
	assert_int_equal(c.bank_port_bytes, 64);
	assert_int_equal(c.kind, MX_SYNERGY);
	assert_int_equal(c.fabric_kind, MX_FABRIC_DIGITAL);
	assert_int_equal(c.cells_endurance, 1000000);
	assert_true(c.energy.mac == 0.23);
	assert_true(c.power.sram_kib_mw == 0.165);
	assert_true(c.area.dac == 0.166);

	/* eleven banks of 1k x 64k x 4 bits for models but 16 chunks, one for intermediates */
	assert_int_equal(mx_chip_capacity(&c), 11ull * 1024 * 65536 * 4 / 8 - (16 << 16));
	assert_int_equal(mx_chip_act_bytes(&c), 1024 * 65536 * 4 / 8);
	assert_true(mx_chip_nv_bytes(&c) > mx_chip_capacity(&c));
	assert_int_equal(mx_chip_nv_bytes(&c) % MXACCEL_PAGE, 0);
}

static void reads_all_shipped_files(void **state)
{
	struct mx_chip_config c;
	char text[16384], name[32];
	glob_t files;
	size_t i;

	(void)state;
	assert_int_equal(glob(CHIPS "*.ini", 0, NULL, &files), 0);
	assert_true(files.gl_pathc >= 5);
	for (i = 0; i < files.gl_pathc; i++) {
		const char *base = files.gl_pathv[i] + strlen(CHIPS);

		snprintf(name, sizeof(name), "%.*s", (int)(strlen(base) - 4), base);
		if (mx_chip_config_parse(&c, name, text, load(files.gl_pathv[i], text,
							      sizeof(text)), err, sizeof(err)))
			fail_msg("%s", err);
		assert_string_equal(c.name, name);
	}
	globfree(&files);
}

/* The good file with @from replaced by @to, which must be refused with a sentence. */
static void refused(const char *from, const char *to, const char *part)
{
	const char *at = strstr(good, from);
	struct mx_chip_config c, untouched;
	char text[32768];
	int bytes;

	if (!at)
		fail_msg("the chip file has no \"%s\"", from);
	bytes = snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - good), good, to,
			 at + strlen(from));
	memset(&c, 0x5a, sizeof(c));
	untouched = c;
	if (mx_chip_config_parse(&c, "bad", text, bytes, err, sizeof(err)) != -EINVAL)
		fail_msg("\"%s\" was taken", to);
	if (!strstr(err, part))
		fail_msg("\"%s\" for \"%s\" does not say \"%s\"", err, to, part);
	assert_memory_equal(&c, &untouched, sizeof(c));
}

static unsigned int line_of(const char *what)
{
	const char *end = strstr(good, what), *p;
	unsigned int line = 1;

	assert_non_null(end);
	for (p = good; p < end; p++)
		line += *p == '\n';
	return line;
}

static void refuses_bad_files(void **state)
{
	char comment[250] = "", at[64];

	(void)state;
	snprintf(at, sizeof(at), "line %u: banks = x5", line_of("banks = 5"));
	refused("banks = 5", "banks = x5", at);
	snprintf(at, sizeof(at), "line %u: unknown key bnks", line_of("banks = 5"));
	refused("banks = 5", "bnks = 3", at);
	refused("banks = 5", "banks = ", "decimal number");
	refused("banks = 5", "banks = -3", "decimal number");
	refused("banks = 5", "banks = 3.5", "decimal number");
	refused("banks = 5", "banks = 0x3", "decimal number");
	refused("banks = 5", "banks = 1", "must be 2 to 65536");
	refused("banks = 5", "banks = 4294967299", "must be");
	refused("banks = 5", "banks = 99999999999999999999999999", "must be");
	refused("banks = 5", "banks", "neither");
	refused("banks = 5", "", "key banks is missing from section [large]");
	snprintf(at, sizeof(at), "line %u: banks was given in line %u already",
		 line_of("banks = 5") + 1, line_of("banks = 5"));
	refused("banks = 5", "banks = 5\nbanks = 5", at);
	refused("banks = 5", "banks = 5\n  row = 128", "unknown key row");
	refused("banks = 5", "banks = 5\n  rows = 128", "has no key rows in section [large]");
	refused("[small]", "[tall]", "unknown key rows in section [tall]");
	refused("[small]", "[small", "neither");
	refused("[chip]", "stray = 1\n[chip]", "unknown key stray in section []");
	refused("organisation = synergy", "organisation = Syn ergy",
		"expected synergy, inplace or traditional");
	refused("organisation = synergy", "organisation =", "expected synergy");
	refused("organisation = synergy", "", "clock_khz stands before organisation");
	refused("organisation = synergy", "organisation = inplace",
		"a chip of this organisation has no key banks in section [large]");
	refused("kind = digital", "kind = optical", "expected digital or crossbar");
	refused("mac = 0.23", "mac = 0,23", "like 0.39");
	refused("mac = 0.23", "mac = .23", "like 0.39");
	refused("mac = 0.23", "mac = 23.", "like 0.39");
	refused("mac = 0.23", "mac = 0.2.3", "like 0.39");
	refused("mac = 0.23", "mac = -0.23", "like 0.39");
	refused("mac = 0.23", "mac = 1e3", "like 0.39");
	refused("mac = 0.23", "mac = nan", "like 0.39");
	refused("mac = 0.23", "mac = 0.2300000000000000", "15 digits");
	refused("mac = 0.23", "mac = 1000001", "must be 0 to 1000000");
	refused("feature_nm = 32", "feature_nm = 0.5", "must be 1 to 1000");
	refused("spare_chunks = 0", "spare_chunks = 32", "leaves none");
	refused("cell_bits = 4", "cell_bits = 3", "cell_bits");
	refused("dac_bits = 1", "dac_bits = 5", "must divide 8");
	refused("digit_bits = 1", "digit_bits = 3", "must divide 8");
	refused("intermediate_banks = 1", "intermediate_banks = 5", "leaves none");
	refused("bank_cols = 1024", "bank_cols = 1023", "multiple of 65536");
	refused("models = 4", "models = 4097", "must be 1 to 4096");
	refused("io_bytes = 4194304", "io_bytes = 1", "must be");
	refused("utilisation_percent = 85", "utilisation_percent = 101", "must be 1 to 100");
	memset(comment, 'x', sizeof(comment) - 1);
	comment[0] = ';';
	refused("; tiny", comment, "longer than");
}

static void refuses_banks_beyond_any_simulator(void **state)
{
	struct mx_chip_config c;
	char text[16384];
	const char *at = strstr(good, "banks = 5");
	int bytes;

	(void)state;
	assert_non_null(at);
	bytes = snprintf(text, sizeof(text), "%.*sbanks = 65536%s", (int)(at - good), good,
			 at + strlen("banks = 5"));
	assert_int_equal(mx_chip_config_parse(&c, "many", text, bytes, err, sizeof(err)), 0);
	memcpy(strstr(text, "bank_rows = 1024"), "bank_rows=999999", 16);
	memcpy(strstr(text, "bank_cols = 1024"), "bank_cols=999999", 16);
	assert_int_equal(mx_chip_config_parse(&c, "huge", text, bytes, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "64 TiB"));
}

static void refuses_what_is_no_text(void **state)
{
	struct mx_chip_config c;
	uint64_t seed = 7;
	char noise[4096];
	size_t i, round;

	(void)state;
	assert_int_equal(mx_chip_config_parse(&c, "none", "", 0, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "missing"));
	assert_int_equal(mx_chip_config_parse(&c, "nul", "\0", 1, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "NUL"));
	assert_int_equal(mx_chip_config_parse(&c, "", good, strlen(good), err, sizeof(err)),
			 -EINVAL);
	assert_int_equal(mx_chip_config_parse(&c, "a-name-longer-than-the-field-for-it", good,
					      strlen(good), err, sizeof(err)), -EINVAL);
	for (round = 0; round < 200; round++) {
		for (i = 0; i < sizeof(noise); i++) {
			seed = seed * 6364136223846793005ull + 1;
			noise[i] = round % 2 ? (char)(seed >> 56) : "[]=;#\n\r \tab1"[seed >> 33 & 7];
		}
		assert_int_equal(mx_chip_config_parse(&c, "noise", noise, sizeof(noise), err,
						      sizeof(err)), -EINVAL);
	}
	/* a sentence that does not fit is cut, not overrun */
	assert_int_equal(mx_chip_config_parse(&c, "none", "x = 1", 5, err, 8), -EINVAL);
	assert_int_equal(strlen(err), 7);
}

/* Not NUL-terminated, cut at every byte: no read beyond, and only the whole file is taken. */
static void stays_within_the_text(void **state)
{
	size_t all = strlen(good), bytes, end = all;
	struct mx_chip_config c;

	(void)state;
	while (end && (good[end - 1] == '\n' || good[end - 1] == '6' || good[end - 1] == '5'))
		end--;	/* "sg = 256" is a number from its first digit on */
	for (bytes = 0; bytes <= all; bytes++) {
		char *cut = malloc(bytes ? bytes : 1);
		int rc;

		assert_non_null(cut);
		memcpy(cut, good, bytes);
		rc = mx_chip_config_parse(&c, "cut", cut, bytes, err, sizeof(err));
		assert_int_equal(rc, bytes < end ? -EINVAL : 0);
		free(cut);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_value_of_mx1),
		cmocka_unit_test(reads_all_shipped_files),
		cmocka_unit_test(refuses_bad_files),
		cmocka_unit_test(refuses_banks_beyond_any_simulator),
		cmocka_unit_test(refuses_what_is_no_text),
		cmocka_unit_test(stays_within_the_text),
	};

	return cmocka_run_group_tests_name("chip_config", tests, load_good, NULL);
}
