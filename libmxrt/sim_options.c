// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Names of "sim:" devices: chip file and options.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#ifndef MXRT_CHIP_DIR
#error "MXRT_CHIP_DIR: directory of the chip files"
#endif

#define MAX_THREADS	64
#define MAX_FILE	65536	/* a chip file has some thirty lines */

static int parse_number(const char *name, const char *key, const char *value, uint64_t max,
			uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(value, &end, 0);
	if (errno || *end || !*value || *value == '-' || *value == '+' || *number > max)
		return mxrt_fail(-EINVAL, "%s: %s=%s is not a number from 0 to %llu", name, key,
				 value, (unsigned long long)max);
	return 0;
}

static int set_isa(const char *name, const char *value, struct mx_chip_params *chip)
{
	int isa = mx_isa_from_name(value);

	if (isa < 0)
		return mxrt_fail(-EINVAL,
				 "%s: isa=%s is unknown: use auto, portable, avx2 or avx512", name,
				 value);
	if (!mx_isa_available(isa))
		return mxrt_fail(-EINVAL,
				 "%s: isa=%s: this CPU does not have it; auto picks what it has",
				 name, value);
	chip->isa = isa;
	return 0;
}

static int set_fidelity(const char *name, const char *value, struct mx_chip_params *chip)
{
	int fidelity = mx_fidelity_from_name(value);

	if (fidelity < 0)
		return mxrt_fail(-EINVAL, "%s: fidelity=%s is unknown: use exact or analog", name,
				 value);
	chip->fidelity = fidelity;
	return 0;
}

static int set_option(const char *name, char *option, struct mx_chip_params *chip)
{
	char *value = strchr(option, '=');
	uint64_t number;
	int err;

	if (value)
		*value++ = 0;
	if (value && !strcmp(option, "threads")) {
		err = parse_number(name, option, value, MAX_THREADS, &number);
		chip->threads = number;
		return err;
	}
	if (value && !strcmp(option, "seed"))
		return parse_number(name, option, value, UINT64_MAX, &chip->seed);
	if (value && !strcmp(option, "fidelity"))
		return set_fidelity(name, value, chip);
	if (value && !strcmp(option, "age")) {
		err = parse_number(name, option, value, MX_MAX_AGE, &number);
		chip->age = number;
		return err;
	}
	if (value && !strcmp(option, "isa"))
		return set_isa(name, value, chip);
	return mxrt_fail(-EINVAL, "%s: unknown option \"%s\": there are threads=N, isa=NAME, seed=N, fidelity=NAME, age=SECONDS",
			 name, option);
}

/* Reads a chip file, which parse() takes with its length. */
static int read_file(const char *name, const char *path, char **text, size_t *bytes)
{
	FILE *file = fopen(path, "re");
	int err = 0;

	if (!file)
		return mxrt_fail(-errno,
				 "%s: cannot open chip file %s: %s (names are looked for in $MXACCEL_CHIP_DIR, else in " MXRT_CHIP_DIR ")",
				 name, path, strerrordesc_np(errno));
	*text = malloc(MAX_FILE);
	if (!*text) {
		fclose(file);
		return mxrt_fail(-ENOMEM, "%s: no memory for chip file %s", name, path);
	}
	*bytes = fread(*text, 1, MAX_FILE, file);
	if (ferror(file))
		err = mxrt_fail(-EIO, "%s: cannot read chip file %s", name, path);
	else if (*bytes == MAX_FILE)
		err = mxrt_fail(-EFBIG, "%s: %s has %d bytes or more: no chip file", name, path,
				MAX_FILE);
	fclose(file);
	if (err)
		free(*text);
	return err;
}

static int read_chip(const char *name, const char *chip_name, struct mx_chip_config *config)
{
	const char *dir = getenv("MXACCEL_CHIP_DIR");
	char path[4096], err_text[256] = "", *text;
	size_t bytes = 0, length = strlen(chip_name);
	const char *base = chip_name;
	char short_name[sizeof(config->name)];
	bool is_path;
	int err;

	is_path = strchr(chip_name, '/') || (length > 4 && !strcmp(chip_name + length - 4, ".ini"));
	if (!is_path && !length)
		return mxrt_fail(-EINVAL, "%s: no chip named: try sim:mx1", name);
	if (!dir || !*dir)
		dir = MXRT_CHIP_DIR;
	if (is_path)
		length = snprintf(path, sizeof(path), "%s", chip_name);
	else
		length = snprintf(path, sizeof(path), "%s/%s.ini", dir, chip_name);
	if (length >= sizeof(path))
		return mxrt_fail(-ENAMETOOLONG, "%s: path of the chip file is too long", name);
	if (strrchr(base, '/'))
		base = strrchr(base, '/') + 1;
	snprintf(short_name, sizeof(short_name), "%s", base);
	if (is_path && strrchr(short_name, '.'))
		*strrchr(short_name, '.') = 0;
	err = read_file(name, path, &text, &bytes);
	if (err)
		return err;
	err = mx_chip_config_parse(config, short_name, text, bytes, err_text, sizeof(err_text));
	free(text);
	if (err)
		return mxrt_fail(err, "%s: chip file %s: %s", name, path, err_text);
	return 0;
}

int mxrt_sim_options(const char *name, const struct mxrt_open_params *params,
		     struct mx_chip_config *config, struct mx_chip_params *chip)
{
	char *copy, *option, *rest;
	int err = 0;

	if (params->threads > MAX_THREADS)
		return mxrt_fail(-EINVAL, "%s: %u threads, at most %d", name, params->threads,
				 MAX_THREADS);
	chip->threads = params->threads;
	chip->seed = params->seed;
	if (params->watch && params->watch->op) {
		chip->op_step = mxrt_sim_watch;
		chip->op_opaque = (void *)params->watch;
	}
	if (params->isa)
		err = set_isa(name, params->isa, chip);
	if (err)
		return err;
	copy = strdup(name + strlen("sim:"));
	if (!copy)
		return mxrt_fail(-ENOMEM, "no memory for %s", name);
	rest = copy;
	strsep(&rest, ",");	/* the chip's name stays at copy */
	while (!err && (option = strsep(&rest, ",")))
		err = set_option(name, option, chip);
	if (!err)
		err = read_chip(name, copy, config);
	free(copy);
	return err;
}
