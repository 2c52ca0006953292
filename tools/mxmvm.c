// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * mxmvm: one static product of integers through the crossbars of a chip file, with the
 * sum and the code of every conversion for whoever wants to check them.
 * Documentation/analog.rst says what they are.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "analog_sense.h"
#include "chip_file.h"
#include "npy.h"
#include "pool.h"

static const char help[] =
"usage: mxmvm --chip CHIP --w W.npy --x X.npy --out Y.npy [--sums S.npy] [--codes C.npy]\n"
"Multiplies y = x w through the crossbars of a chip, with their converters and effects.\n"
"\n"
"  -c, --chip CHIP     name or path of a chip file\n"
"  -s, --set S.K=V     replace the value of key K of section [S]; may be repeated. Keys\n"
"                      of [analog] that the file leaves out are added.\n"
"  -w, --w FILE        weights, int8 [N, K]\n"
"  -x, --x FILE        inputs, int8 or uint8 [T, K]; unsigned coding takes 0 to 255, the\n"
"                      others -128 to 127\n"
"  -o, --out FILE      result, int64 [T, N]\n"
"      --sums FILE     int32 [array, slice, bit, N, T]: sum of each bitline\n"
"      --codes FILE    int32, the same shape: what the ADC made of it\n"
"      --seed N        serial number of the chip, default 0: other numbers, other cells\n"
"      --age SECONDS   since the cells were programmed, default 0\n"
"      --reading N     other numbers, other read noise\n"
"      --threads N     default one per CPU\n"
"      --isa NAME      auto, portable, avx2 or avx512; the results are the same\n"
"      --convert-all   convert also what is proved to lose nothing; the results are the same\n"
"      --repeat N      multiply N times, and print the best time\n"
"      --help\n"
"\n"
"Prints what was done, a \"name value\" a line. Exit codes: 0 done, 1 failed, 2 bad usage.\n";

struct options {
	const char *chip, *w, *x, *out, *sums, *codes;
	const char *set[256];
	size_t nr_set;
	uint64_t seed;
	uint32_t threads;
	enum mx_isa isa;
	uint32_t age;
	uint64_t reading;
	bool convert_all;
	uint32_t repeat;
};

__attribute__((format(printf, 2, 3), noreturn))
static void stop(int status, const char *format, ...)
{
	va_list args;

	fputs("mxmvm: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputs(status == 2 ? " (see mxmvm --help)\n" : "\n", stderr);
	exit(status);
}

static uint64_t parse_number(const char *name, const char *text, uint64_t max)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || *end || *text < '0' || *text > '9' || value > max)
		stop(2, "--%s %s is not a number from 0 to %" PRIu64, name, text, max);
	return value;
}

/* The output is text: an array in the midst of it would be lost. */
static void check_output(const char *name, const char *path)
{
	if (path && (!*path || !strcmp(path, "-")))
		stop(2, "--%s \"%s\": give the name of a file", name, path);
}

static void parse(struct options *o, int argc, char **argv)
{
	enum { SUMS = 256, CODES, SEED, THREADS, ISA, ALL, REPEAT, AGE, READING, HELP };
	static const struct option longs[] = {
		{ "chip", 1, NULL, 'c' }, { "set", 1, NULL, 's' }, { "w", 1, NULL, 'w' },
		{ "x", 1, NULL, 'x' }, { "out", 1, NULL, 'o' }, { "sums", 1, NULL, SUMS },
		{ "codes", 1, NULL, CODES }, { "seed", 1, NULL, SEED },
		{ "threads", 1, NULL, THREADS }, { "isa", 1, NULL, ISA },
		{ "convert-all", 0, NULL, ALL }, { "repeat", 1, NULL, REPEAT }, { "age", 1, NULL, AGE },
		{ "reading", 1, NULL, READING }, { "help", 0, NULL, HELP }, { 0 },
	};
	int c, isa;

	while ((c = getopt_long(argc, argv, "c:s:w:x:o:", longs, NULL)) >= 0) {
		switch (c) {
		case 'c':
			o->chip = optarg;
			break;
		case 's':
			if (o->nr_set == sizeof(o->set) / sizeof(*o->set))
				stop(2, "more than %zu times --set", o->nr_set);
			o->set[o->nr_set++] = optarg;
			break;
		case 'w':
			o->w = optarg;
			break;
		case 'x':
			o->x = optarg;
			break;
		case 'o':
			o->out = optarg;
			break;
		case SUMS:
			o->sums = optarg;
			break;
		case CODES:
			o->codes = optarg;
			break;
		case SEED:
			o->seed = parse_number("seed", optarg, UINT64_MAX);
			break;
		case THREADS:
			o->threads = parse_number("threads", optarg, MX_POOL_MAX_THREADS);
			break;
		case ISA:
			isa = mx_isa_from_name(optarg);
			if (isa < 0)
				stop(2, "--isa %s is unknown: use auto, portable, avx2 or avx512",
				     optarg);
			if (!mx_isa_available(isa))
				stop(1, "--isa %s: this CPU does not have it", optarg);
			o->isa = isa;
			break;
		case ALL:
			o->convert_all = true;
			break;
		case REPEAT:
			o->repeat = parse_number("repeat", optarg, 1000000);
			break;
		case AGE:
			o->age = parse_number("age", optarg, MX_MAX_AGE);
			break;
		case READING:
			o->reading = parse_number("reading", optarg, UINT64_MAX);
			break;
		case HELP:
			fputs(help, stdout);
			exit(0);
		default:
			fputs(help, stderr);
			exit(2);
		}
	}
	if (optind < argc)
		stop(2, "\"%s\" is no option", argv[optind]);
	if (!o->chip || !o->w || !o->x || !o->out)
		stop(2, "%s is missing", !o->chip ? "--chip" : !o->w ? "--w" : !o->x ? "--x" :
		     "--out");
	check_output("out", o->out);
	check_output("sums", o->sums);
	check_output("codes", o->codes);
}

static void *need(void *memory, const char *what)
{
	if (!memory)
		stop(1, "no memory for %s", what);
	return memory;
}

/* Replaces a key of the text, or adds it to the end of [analog]. */
static void set_key(struct chip_file *file, const char *assignment)
{
	char err[256], *text;
	int bytes, ret = chip_file_set(file, assignment, err, sizeof(err));

	if (!ret)
		return;
	if (ret != -ENOENT || strncmp(assignment, "analog.", 7))
		stop(2, "--set %s: %s", assignment, err);
	bytes = asprintf(&text, "%s\n[analog]\n%s\n", file->text, assignment + 7);
	if (bytes < 0)
		stop(1, "no memory for the chip file");
	free(file->text);
	file->text = text;
	file->bytes = bytes;
}

static void read_chip(const struct options *o, struct mx_chip_config *config)
{
	struct chip_file file;
	char err[512];
	size_t i;

	if (chip_file_read(&file, o->chip, err, sizeof(err)))
		stop(1, "%s", err);
	for (i = 0; i < o->nr_set; i++)
		set_key(&file, o->set[i]);
	if (mx_chip_config_parse(config, file.name, file.text, file.bytes, err, sizeof(err)))
		stop(1, "%s: %s", file.path, err);
	chip_file_free(&file);
}

static void check_operands(const struct options *o, const struct mx_analog *analog,
			   const struct npy_matrix *w, const struct npy_matrix *x)
{
	bool coded_unsigned = analog->keys.input == MX_UNSIGNED;
	const int8_t *bytes = w->data;
	size_t i;

	if (!w->rows || !w->cols || !x->rows)
		stop(1, "nothing to multiply: w is [%zu, %zu], x is [%zu, %zu]", w->rows, w->cols,
		     x->rows, x->cols);
	if (w->cols != x->cols)
		stop(1, "%s has %zu columns, %s has %zu: both must have K", o->w, w->cols, o->x,
		     x->cols);
	if (w->cols > MXACCEL_MAX_K)
		stop(1, "%s: K = %zu, at most %d", o->w, w->cols, MXACCEL_MAX_K);
	for (i = 0; i < w->rows * w->cols; i++)
		if (!mx_analog_weight_fits(analog, bytes[i]))
			stop(1, "%s: weight [%zu, %zu] is %d: %" PRIu32
			     " differential slices of %" PRIu32 " bit hold -127 to 127", o->w,
			     i / w->cols, i % w->cols, bytes[i], analog->slices, analog->cell_bits);
	bytes = x->data;
	for (i = 0; i < x->rows * x->cols; i++) {
		int value = x->type ? (uint8_t)bytes[i] : bytes[i];

		if (coded_unsigned ? value < 0 :
		    value > 127 || !mx_analog_input_fits(analog, value))
			stop(1, "%s: input [%zu, %zu] is %d: input = %s takes %s", o->x,
			     i / x->cols, i % x->cols, value,
			     coded_unsigned ? "unsigned" : analog->keys.input == MX_SIGN_MAGNITUDE ?
			     "sign_magnitude" : "twos_complement",
			     coded_unsigned ? "0 to 255" : mx_analog_input_fits(analog, -128) ?
			     "-128 to 127" : "-127 to 127");
	}
}

struct result {
	int64_t *y;
	size_t n;
};

static void put(void *arg, size_t row, size_t nr_rows, size_t col,
		const int64_t block[][MXACCEL_PANEL_COLS])
{
	const struct result *result = arg;
	size_t cols = result->n - col < MXACCEL_PANEL_COLS ? result->n - col : MXACCEL_PANEL_COLS;
	size_t r;

	for (r = 0; r < nr_rows; r++)
		memcpy(result->y + (row + r) * result->n + col, block[r],
		       cols * sizeof(**block));
}

static void save(const char *path, const char *type, const size_t *shape, size_t nr_dims,
		 const void *data, size_t bytes)
{
	struct npy_writer writer;
	char err[4352];

	if (!path)
		return;
	if (npy_create_typed(&writer, path, type, shape, nr_dims, err, sizeof(err)))
		stop(1, "%s", err);
	if (npy_append_bytes(&writer, data, bytes, err, sizeof(err))) {
		npy_abandon(&writer);
		stop(1, "%s", err);
	}
	if (npy_finish(&writer, err, sizeof(err)))
		stop(1, "%s", err);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec * 1e-9;
}

/* What became of the cells, where a key asked for it. Corrections are in 1/4096. */
static void print_cells(const struct mx_analog *analog, const struct mx_analog_prepared *prepared)
{
	const struct mx_analog_keys *keys = &analog->keys;
	struct mx_analog_report report;

	mx_analog_report(prepared, &report);
	if (keys->stuck_at_0 > 0 || keys->stuck_at_1 > 0)
		printf("stuck_cells %" PRIu64 "\n", report.stuck);
	if (keys->spare_cols)
		printf("spares_used %" PRIu64 "\n", report.spares);
	if (report.corrected)
		printf("least_gain %" PRId32 "\nmost_gain %" PRId32 "\nleast_offset %" PRId32
		       "\nmost_offset %" PRId32 "\n", report.least.gain, report.most.gain,
		       report.least.offset, report.most.offset);
}

/* @bank: where the weights are sensed first, of a synergy chip; or NULL */
static void multiply(const struct options *o, const struct mx_analog *bank,
		     const struct mx_analog *analog, const struct npy_matrix *w,
		     const struct npy_matrix *x)
{
	size_t k = w->cols, n = w->rows, rows = x->rows, i, j, bytes;
	size_t shape[5] = { mx_analog_groups(analog, k), analog->slices, analog->steps, n, rows };
	struct mx_pool *pool = need(mx_pool_new(o->threads), "worker threads");
	int8_t *panels = need(aligned_alloc(MXACCEL_WORD, MXACCEL_PANEL_BYTES(n, k)), "weights");
	struct result result = { calloc(rows * n, sizeof(int64_t)), n };
	struct mx_analog_weights weights = {
		.panels = panels, .k = k, .n = n, .age = o->age, .isa = o->isa,
	};
	struct mx_analog_prepared *prepared;
	struct mx_analog_product product = {
		.x = x->data, .x_stride = k, .rows = rows,
		.no_proof = o->convert_all, .put = put, .arg = &result,
	};
	int8_t *sensed = NULL;
	uint64_t *noise_key = NULL;
	double best = 0;

	need(result.y, "the result");
	memset(panels, 0, MXACCEL_PANEL_BYTES(n, k));
	for (i = 0; i < n; i++)
		for (j = 0; j < k; j++)
			panels[MXACCEL_PANEL_OFFSET(i, j, k)] = ((int8_t *)w->data)[i * k + j];
	if (analog->keys.read_sigma > 0)
		noise_key = need(calloc(rows, sizeof(*noise_key)), "the noise");
	for (i = 0; noise_key && i < rows; i++)
		noise_key[i] = mx_noise_key(o->reading, 0, i);
	product.noise_key = noise_key;
	if (bank) {
		sensed = need(mx_bank_sense(bank, &weights, pool), "the banks");
		weights.panels = sensed;
	}
	prepared = need(mx_analog_prepare(analog, &weights, pool), "the cells");
	product.prepared = prepared;
	for (i = 0, bytes = sizeof(int32_t); i < 5; i++)
		if (__builtin_mul_overflow(bytes, shape[i], &bytes))
			stop(1, "more conversions than can be counted");
	if (o->sums)
		product.sums = need(malloc(bytes), "the sums: use fewer rows of x");
	if (o->codes)
		product.codes = need(malloc(bytes), "the codes: use fewer rows of x");
	for (i = 0; i == 0 || i < o->repeat; i++) {
		double begin = now(), taken;

		if (mx_analog_multiply(analog, &product, o->isa, pool))
			stop(1, "no memory for the product");
		taken = now() - begin;
		best = i == 0 || taken < best ? taken : best;
	}
	save(o->sums, "<i4", shape, 5, product.sums, bytes);
	save(o->codes, "<i4", shape, 5, product.codes, bytes);
	save(o->out, "<i8", (size_t[]){ rows, n }, 2, result.y, rows * n * sizeof(int64_t));
	printf("macs %zu\narrays %zu\nslices %zu\nbits %zu\nconversions %zu\nsaturated %" PRIu64
	       "\nsums_per_count %" PRId32 "\n", rows * n * k, shape[0], shape[1], shape[2],
	       bytes / sizeof(int32_t), product.saturated, analog->unit);
	print_cells(analog, prepared);
	if (o->repeat)
		printf("best_microseconds %.0f\n", best * 1e6);
	mx_analog_prepared_free(prepared);
	free(noise_key);
	free(product.sums);
	free(product.codes);
	free(result.y);
	free(sensed);
	free(panels);
	mx_pool_free(pool);
}

int main(int argc, char **argv)
{
	static const char *const w_types[] = { "|i1", NULL }, *const x_types[] = { "|i1", "|u1", NULL };
	struct options options = { 0 };
	struct mx_chip_config config;
	struct npy_matrix w, x;
	struct mx_analog bank, analog;
	char err[4352];

	parse(&options, argc, argv);
	read_chip(&options, &config);
	if (config.kind == MX_SYNERGY && !mx_small_converts(&config))
		stop(1, "a row of digits of %" PRIu32 " and %" PRIu32
		     " bits is more than the %" PRIu32 "-bit converters of the small crossbars tell apart",
		     config.dac_bits, config.digit_bits, config.adc_bits);
	if (config.kind == MX_SYNERGY) {
		mx_bank_init(&bank, &config, options.seed);
		mx_small_init(&analog, &config, options.seed);
	} else {
		mx_analog_init(&analog, &config, options.seed);
	}
	if (!config.analog.adc_steps[0])
		stop(1, "%s has adc_range = calibrated without adc_step_0 and so on, as images can bring them: give --set analog.adc_step_0=1 ...",
		     options.chip);
	if (npy_read_matrix(options.w, w_types, &w, err, sizeof(err)) ||
	    npy_read_matrix(options.x, x_types, &x, err, sizeof(err)))
		stop(1, "%s", err);
	check_operands(&options, &analog, &w, &x);
	multiply(&options, config.kind == MX_SYNERGY ? &bank : NULL, &analog, &w, &x);
	free(w.data);
	free(x.data);
	return 0;
}
