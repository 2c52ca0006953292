// SPDX-License-Identifier: LGPL-2.1-or-later
/* mxmap: its command line. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxaccel_image.h"
#include "mxmap.h"
#include "mxmap_options.h"
#include "place_report.h"

static const char usage[] =
"usage: mxmap MODELDIR [-o] IMAGE [options]\n"
"\n"
"Maps a Hugging Face BERT folder (config.json, model.safetensors or its shards,\n"
"vocab.txt) to a model image for a chip: weights become INT8, layers a program.\n"
"\n"
"  -o, --output FILE     image to write\n"
"  -c, --chip CHIP       name of a chip or path of a chip file (default: mx1)\n"
"  -n, --name NAME       name of the model (default: that of the folder)\n"
"  -t, --max-tokens N    longest sequence (default: as long as the model takes)\n"
"  -p, --planes N        INT8 planes of activations into Q, K, V and the feed-forward\n"
"                        network: 2 (default), or 1, which needs nearly half the work\n"
"                        but lets outlying channels drown the others\n"
"      --place POLICY    spread: products that run at once on different crossbars\n"
"                        (default); linear: one crossbar filled after the other\n"
"      --report FILE     write what the placement takes and gives, as JSON\n"
"      --plan            write no image, only show the placement; config.json is enough\n"
"      --calibrate FILE  run the sentences of FILE, one a line, through the chip, and give\n"
"                        each product the ADC steps that suit it; for chips with\n"
"                        adc_range = calibrated\n"
"      --calibrate-method M  mse: least squared error of clamping and rounding (default);\n"
"                        max: nothing is clamped\n"
"      --calibrate-tokens N  use no more of FILE, evenly spread over it (default: 512)\n"
"      --smooth ALPHA    scale input channels by their largest activations in FILE to the\n"
"                        power of ALPHA, 0 to 1, and weights by the inverse: fewer outliers\n"
"  -v, --verbose         say what became of each parameter\n"
"  -h, --help            show this\n"
"      --version         show the version\n";

static int parse_number(const char *option, const char *text, uint32_t max, uint32_t *number)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *end || end == text || *text == '-' || !value || value > max)
		return mxmap_fail("--%s %s is not a number from 1 to %u", option, text, max);
	*number = value;
	return 0;
}

static int parse_alpha(const char *text, double *alpha)
{
	char *end;

	errno = 0;
	*alpha = strtod(text, &end);
	if (errno || *end || end == text || !(*alpha >= 0 && *alpha <= 1))
		return mxmap_fail("--smooth %s is not a number from 0 to 1", text);
	return 0;
}

int parse_options(int argc, char **argv, struct options *options)
{
	static const struct option longs[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "chip", required_argument, NULL, 'c' },
		{ "name", required_argument, NULL, 'n' },
		{ "max-tokens", required_argument, NULL, 't' },
		{ "planes", required_argument, NULL, 'p' },
		{ "place", required_argument, NULL, 'P' },
		{ "report", required_argument, NULL, 'r' },
		{ "plan", no_argument, NULL, 'l' },
		{ "calibrate", required_argument, NULL, 'C' },
		{ "calibrate-method", required_argument, NULL, 'M' },
		{ "calibrate-tokens", required_argument, NULL, 'T' },
		{ "smooth", required_argument, NULL, 'S' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ }
	};
	int option, policy;

	while ((option = getopt_long(argc, argv, "o:c:n:t:p:vh", longs, NULL)) != -1) {
		switch (option) {
		case 'o':
			options->output = optarg;
			break;
		case 'c':
			options->chip = optarg;
			break;
		case 'n':
			options->name = optarg;
			break;
		case 't':
			if (parse_number("max-tokens", optarg, MXACCEL_MAX_K,
					 &options->max_tokens))
				return -1;
			break;
		case 'p':
			if (strcmp(optarg, "1") && strcmp(optarg, "2"))
				return mxmap_fail("--planes %s: there can be 1 or 2", optarg);
			options->planes = *optarg - '0';
			break;
		case 'P':
			options->place = optarg;
			if (!place_policy_from_name(optarg, &policy))
				return mxmap_fail("--place %s: must be spread or linear", optarg);
			break;
		case 'r':
			options->report = optarg;
			break;
		case 'l':
			options->plan = true;
			break;
		case 'C':
			options->calibration.file = optarg;
			break;
		case 'M':
			if (!calibrate_method_from_name(optarg, &options->calibration.method))
				return mxmap_fail("--calibrate-method %s: must be mse or max",
						  optarg);
			break;
		case 'T':
			if (parse_number("calibrate-tokens", optarg, CALIBRATION_MAX_TOKENS,
					 &options->calibration.tokens))
				return -1;
			break;
		case 'S':
			if (parse_alpha(optarg, &options->calibration.smooth))
				return -1;
			break;
		case 'v':
			options->verbose = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 1;
		case 'V':
			puts("mxmap " MXMAP_VERSION);
			return 1;
		default:
			return -1;	/* getopt_long() has said what is wrong. */
		}
	}
	if (optind + 2 == argc && !options->output)
		options->output = argv[--argc];
	if (optind + 1 != argc)
		return mxmap_fail("name one model folder (mxmap --help says more)");
	options->folder = argv[optind];
	if (options->calibration.smooth >= 0 && !options->calibration.file)
		return mxmap_fail("--smooth needs the activations of sentences: --calibrate FILE");
	if (options->calibration.file && options->plan)
		return mxmap_fail("--calibrate runs the model, --plan makes none: leave one out");
	if (!options->output && !options->plan)
		return mxmap_fail("-o FILE is needed: where the image goes");
	return 0;
}
