// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * mxchip: what a chip file says, and what a model would take on such a chip.
 * A thin command line over the chip library; see its --help.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxchip.h"

static const char help[] =
"usage: mxchip CHIP [IMAGE] [options]\n"
"Shows what a chip file says: organisation, capacity, area by component; with a model\n"
"image (.mxw, made by mxmap) also whether it fits and what it takes. Nothing is run.\n"
"\n"
"  CHIP                    name of a chip, or path of a chip file\n"
"  -s, --set SEC.KEY=VAL   replace the value of a key first; may be repeated\n"
"  -e, --estimate          counters of jobs, from the program of IMAGE\n"
"  -t, --tokens N[,N...]   of each sequence of those jobs (default: 128,384,512)\n"
"  -b, --batch N[,N...]    sequences of each job (default: 1)\n"
"  -n, --entry NAME        program of the image (default: tokens)\n"
"  -j, --json              print everything as JSON\n"
"  -o, --save FILE         write the chip file, with the keys replaced, and end\n"
"  -h, --help              show this\n"
"      --version           show the version\n"
"\n"
"Exit codes: 0 done; 1 the model does not fit the chip; 2 bad options; 3 bad chip file\n"
"or image; 4 the chip file could not be written.\n";

void mxchip_die(int code, const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("mxchip: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(code);
}

static void parse_list(const char *option, const char *text, struct number_list *list)
{
	unsigned long value;
	char *end;

	list->nr = 0;
	do {
		errno = 0;
		value = strtoul(text, &end, 10);
		if (errno || end == text || (*end && *end != ',') || *text < '0' || *text > '9' ||
		    !value || value > 1u << 20)
			mxchip_die(EXIT_USAGE, "--%s: \"%s\" is not a number from 1 to %u", option,
				   text, 1u << 20);
		if (list->nr == MAX_NUMBERS)
			mxchip_die(EXIT_USAGE, "--%s: more than %d numbers", option, MAX_NUMBERS);
		list->value[list->nr++] = value;
		text = end + 1;
	} while (*end);
}

static void parse_options(int argc, char **argv, struct options *options)
{
	static const struct option longs[] = {
		{ "set", required_argument, NULL, 's' },
		{ "estimate", no_argument, NULL, 'e' },
		{ "tokens", required_argument, NULL, 't' },
		{ "batch", required_argument, NULL, 'b' },
		{ "entry", required_argument, NULL, 'n' },
		{ "json", no_argument, NULL, 'j' },
		{ "save", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ }
	};
	int option;

	while ((option = getopt_long(argc, argv, "s:et:b:n:jo:h", longs, NULL)) != -1) {
		switch (option) {
		case 's':
			if (options->nr_sets == MAX_SETS)
				mxchip_die(EXIT_USAGE, "more than %d keys to replace", MAX_SETS);
			options->set[options->nr_sets++] = optarg;
			break;
		case 'e':
			options->estimate = true;
			break;
		case 't':
			parse_list("tokens", optarg, &options->tokens);
			break;
		case 'b':
			parse_list("batch", optarg, &options->batch);
			break;
		case 'n':
			options->entry = optarg;
			break;
		case 'j':
			options->json = true;
			break;
		case 'o':
			options->save = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			exit(0);
		case 'V':
			puts("mxchip " MXCHIP_VERSION);
			exit(0);
		default:
			exit(EXIT_USAGE);	/* getopt_long() has said what is wrong. */
		}
	}
	if (optind == argc || argc > optind + 2)
		mxchip_die(EXIT_USAGE, "name one chip and at most one image (--help says more)");
	options->chip = argv[optind];
	options->image = argv[optind + 1];
	if (options->estimate && !options->image)
		mxchip_die(EXIT_USAGE, "--estimate needs the image whose jobs are to be estimated");
}

static void read_chip(const struct options *options, struct chip_file *file,
		      struct mx_chip_config *config)
{
	char err[4400] = "";
	unsigned int i;

	if (chip_file_read(file, options->chip, err, sizeof(err)))
		mxchip_die(EXIT_INPUT, "%s", err);
	for (i = 0; i < options->nr_sets; i++)
		if (chip_file_set(file, options->set[i], err, sizeof(err)))
			mxchip_die(EXIT_USAGE, "--set: %s", err);
	if (mx_chip_config_parse(config, file->name, file->text, file->bytes, err, sizeof(err)))
		mxchip_die(EXIT_INPUT, "%s", err);
}

static void save(const struct options *options, const struct chip_file *file)
{
	FILE *to = fopen(options->save, "we");

	if (!to)
		mxchip_die(EXIT_OUTPUT, "cannot write %s: %s", options->save, strerror(errno));
	fwrite(file->text, 1, file->bytes, to);
	if (ferror(to) | fclose(to))
		mxchip_die(EXIT_OUTPUT, "cannot write %s: %s", options->save, strerror(errno));
}

int main(int argc, char **argv)
{
	struct options options = {
		.entry = "tokens",
		.tokens = { 3, { 128, 384, 512 } },
		.batch = { 1, { 1 } },
	};
	struct mx_chip_config config;
	struct chip_file file;
	bool fits = true;
	json_t *report;

	parse_options(argc, argv, &options);
	read_chip(&options, &file, &config);
	if (options.save) {
		save(&options, &file);
		return 0;
	}
	report = report_chip(&config, &file);
	if (options.image)
		fits = report_model(&config, &options, report);
	if (options.json) {
		json_dumpf(report, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
		putchar('\n');
	} else {
		print_report(&config, report);
	}
	json_decref(report);
	chip_file_free(&file);
	if (fflush(stdout) || ferror(stdout))
		mxchip_die(EXIT_OUTPUT, "cannot write to the standard output: %s",
			   strerror(errno));
	return fits ? 0 : EXIT_FIT;
}
