// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Names and options of devices, what they tell about themselves, and texts of
 * errors. Linked with the shared library.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "mxaccel_hw.h"
#include "mxrt.h"
#include "runtime_help.h"

#define MAX_VALUES 128

static void test_open(void **state)
{
	struct mxrt_open_params params = { .size = sizeof(params), .threads = 1 };
	struct mxrt_device *dev;

	(void)state;
	said(mxrt_open("sim:", NULL, &dev), -EINVAL, "no chip named");
	said(mxrt_open("sim:no-such-chip", NULL, &dev), -ENOENT, "no-such-chip.ini");
	said(mxrt_open("sim:/no/such/file.ini", NULL, &dev), -ENOENT, "/no/such/file.ini");
	said(mxrt_open("sim:tiny,threads=x", NULL, &dev), -EINVAL, "threads=x");
	said(mxrt_open("sim:tiny,threads=65", NULL, &dev), -EINVAL, "threads=65");
	said(mxrt_open("sim:tiny,threads", NULL, &dev), -EINVAL, "unknown option \"threads\"");
	said(mxrt_open("sim:tiny,isa=mmx", NULL, &dev), -EINVAL, "isa=mmx");
	said(mxrt_open("sim:tiny,colour=blue", NULL, &dev), -EINVAL, "\"colour\"");
	said(mxrt_open("tiny", NULL, &dev), -EINVAL, "sim:mx1");
	said(mxrt_open("/dev/no-such-device", NULL, &dev), -ENOENT, "/dev/no-such-device");
	said(mxrt_open("/dev/null", NULL, &dev), -EINVAL, "no mxaccel device");
	said(mxrt_open("ffff:ff:1f.7", NULL, &dev), -ENOENT, "ffff:ff:1f.7");
	said(mxrt_open("/dev/null", &params, &dev), -EINVAL, "\"sim:\"");
	said(mxrt_open("sim:tiny", NULL, NULL), -EINVAL, "");
	params.flags = 1;
	said(mxrt_open("sim:tiny", &params, &dev), -EINVAL, "flags 0x1");
	params.flags = 0;
	params.size = 3;
	said(mxrt_open("sim:tiny", &params, &dev), -EINVAL, "sizeof");
	params.size = sizeof(params);
	params.isa = "sse";
	said(mxrt_open("sim:tiny", &params, &dev), -EINVAL, "isa=sse");
	if (access("/dev/mxaccel0", F_OK))
		said(mxrt_open(NULL, NULL, &dev), -ENOENT, "\"sim:mx1\"");
}

static void test_sizes(void **state)
{
	struct {
		struct mxrt_open_params params;
		uint32_t more[2];
	} newer = { .params.size = sizeof(newer), .params.threads = 1 };
	struct mxrt_device *dev;

	(void)state;
	must(mxrt_open("sim:tiny", &newer.params, &dev));
	mxrt_close(dev);
	newer.more[1] = 7;
	said(mxrt_open("sim:tiny", &newer.params, &dev), -E2BIG, "does not know");
	newer.params.size = 8;
	must(mxrt_open("sim:tiny", &newer.params, &dev));
	mxrt_close(dev);
}

static void test_chip_dir(void **state)
{
	char dir[] = "/tmp/test_runtime.XXXXXX", path[64];
	struct mxrt_device *dev;
	FILE *file;

	(void)state;
	assert_non_null(mkdtemp(dir));
	setenv("MXACCEL_CHIP_DIR", dir, 1);
	said(mxrt_open("sim:tiny", NULL, &dev), -ENOENT, dir);
	snprintf(path, sizeof(path), "%s/tiny.ini", dir);
	file = fopen(path, "w");
	fputs("[chip]\nnonsense = 3\n", file);
	fclose(file);
	said(mxrt_open("sim:tiny", NULL, &dev), -EINVAL, "nonsense");
	unlink(path);
	rmdir(dir);
	unsetenv("MXACCEL_CHIP_DIR");
	mxrt_close(open_sim("sim:tiny"));
}

static void test_query(void **state)
{
	struct mxrt_device *dev = open_sim("sim:tiny,seed=77,isa=portable,threads=1");
	struct mxrt_device_info info = { .size = sizeof(info) };
	struct mxrt_value values[MAX_VALUES];
	size_t count = MAX_VALUES, i;

	(void)state;
	must(mxrt_query(dev, &info));
	assert_int_equal(info.platform, MXRT_PLATFORM_SIM);
	assert_string_equal(info.backend, "sim");
	assert_string_equal(info.chip, "tiny");
	assert_string_equal(info.isa, "portable");
	assert_int_equal(info.serial, 77);
	assert_int_equal(info.capacity_bytes, 4 * 1024 * 1024 / 2);
	assert_int_equal(info.max_io_bytes, 4194304);
	assert_int_equal(info.nr_models, 0);
	assert_int_equal(info.max_models, 4);
	assert_int_equal(info.clock_khz, 1000000);
	must(mxrt_chip_values(dev, values, &count));
	assert_int_equal(count, MXACCEL_CHIP_NR);
	assert_string_equal(values[0].name, "capacity_bytes");
	assert_int_equal(values[0].value, info.capacity_bytes);
	count = 0;
	must(mxrt_counters(dev, MXRT_SCOPE_DEVICE, NULL, NULL, &count));
	assert_int_equal(count, MXACCEL_CTR_NR);
	must(mxrt_counters(dev, MXRT_SCOPE_DEVICE, NULL, values, &count));
	for (i = 0; i < count; i++)
		assert_int_equal(values[i].value, 0);
	said(mxrt_counters(dev, MXRT_SCOPE_MODEL, NULL, values, &count), -EINVAL, "without a model");
	mxrt_close(dev);
}

static void test_texts(void **state)
{
	int status;

	(void)state;
	assert_int_equal(mxrt_version(), MXRT_VERSION);
	assert_string_equal(mxrt_strerror(0), "success");
	for (status = 1; status < MXACCEL_ST_NR; status++)
		assert_true(strlen(mxrt_strerror(status)) > 5);
	assert_non_null(strstr(mxrt_strerror(MXACCEL_ST_NR), "does not know"));
	assert_non_null(strstr(mxrt_strerror(-ENODEV), "open it again"));
	assert_true(strlen(mxrt_strerror(-EPERM)) > 5);
	assert_string_equal(mxrt_strerror(-99999), "unknown error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_chip_dir),
		cmocka_unit_test(test_query),
	};

	return cmocka_run_group_tests_name("open", tests, NULL, NULL);
}
