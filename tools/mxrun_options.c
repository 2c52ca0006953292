// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Command line of mxrun.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxrun.h"

static const char help[] =
"usage: mxrun IMAGE --text TEXT [--text TEXT ...] [--out OUT.npy]\n"
"       mxrun IMAGE --ids IDS.npy --out OUT.npy\n"
"       mxrun IMAGE --text TEXT --trace FILE.json\n"
"       mxrun IMAGE --info\n"
"       mxrun --resident | --delete ID | --refresh ID [--device NAME]\n"
"Runs a model image (.mxw, made by mxmap) on an MX1 accelerator.\n"
"\n"
"  -t, --text TEXT     embed a text with the image's tokenizer; prints its tokens\n"
"                      and its embedding. A text too long for the model is cut.\n"
"  -i, --ids FILE      int32 [n, T] token ids in C order, 0 is padding\n"
"  -o, --out FILE      float32 result: [n, T, H], or [n, H] for one per sequence;\n"
"                      - is the standard output. Replaced only if all went well.\n"
"  -e, --entry NAME    program of the model; default: sentence for --text, tokens\n"
"                      for --ids\n"
"  -d, --device NAME   /dev/mxaccel0, a PCI address, or a chip model in this process:\n"
"                      sim:mx1[,threads=N][,isa=NAME][,seed=N], sim:/path/chip.ini;\n"
"                      default: the first /dev/mxaccelN\n"
"      --threads N     sim: worker threads, default one per CPU\n"
"      --isa NAME      sim: auto, portable, avx2 or avx512; the results are the same\n"
"      --batch N       sequences per job; default: about 8192 tokens\n"
"      --timeout MS    give a job up after it; default: the driver's, sim: never\n"
"      --counters      print what the chip counted for this: time, energy, use, bytes\n"
"      --json FILE     the same and all about the run, for programs\n"
"      --trace FILE    what each unit of the chip does when, as the model of its timing\n"
"                      has it, for ui.perfetto.dev or chrome://tracing. With --ids and\n"
"                      nothing else to write, the model is not run.\n"
"      --trace-tokens  an event for each token, not for each block of them\n"
"  -v, --verbose       --counters: also those that are zero\n"
"      --repeat N      run it N times and print the times\n"
"      --profile       sim: print the time that each kind of macro-op took; with\n"
"                      --repeat, of the best run\n"
"      --info, --list  describe the image; needs no device\n"
"      --verify        check all weights of the image, even if a device holds the model\n"
"      --resident      list the models that a device holds, and its room for more\n"
"      --delete ID     free the cells of one of them, which nobody may be using;\n"
"                      /dev/mxaccelN: needs CAP_SYS_ADMIN\n"
"      --refresh ID    program the cells of one of them again, because they have aged;\n"
"                      /dev/mxaccelN: needs CAP_SYS_ADMIN\n"
"      --version, --help\n"
"\n"
"Exit codes: 0 done; 1 the device is missing, or refused or failed the job; 2 bad\n"
"options; 3 bad input (image, text or ids); 4 the result could not be written.\n";

enum {
	OPT_THREADS = 256,
	OPT_ISA,
	OPT_BATCH,
	OPT_TIMEOUT,
	OPT_COUNTERS,
	OPT_JSON,
	OPT_TRACE,
	OPT_TRACE_TOKENS,
	OPT_REPEAT,
	OPT_PROFILE,
	OPT_INFO,
	OPT_VERIFY,
	OPT_RESIDENT,
	OPT_DELETE,
	OPT_REFRESH,
	OPT_VERSION,
};

static const struct option long_options[] = {
	{ "text", required_argument, NULL, 't' },
	{ "ids", required_argument, NULL, 'i' },
	{ "out", required_argument, NULL, 'o' },
	{ "entry", required_argument, NULL, 'e' },
	{ "device", required_argument, NULL, 'd' },
	{ "threads", required_argument, NULL, OPT_THREADS },
	{ "isa", required_argument, NULL, OPT_ISA },
	{ "batch", required_argument, NULL, OPT_BATCH },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "counters", no_argument, NULL, OPT_COUNTERS },
	{ "json", required_argument, NULL, OPT_JSON },
	{ "trace", required_argument, NULL, OPT_TRACE },
	{ "trace-tokens", no_argument, NULL, OPT_TRACE_TOKENS },
	{ "verbose", no_argument, NULL, 'v' },
	{ "repeat", required_argument, NULL, OPT_REPEAT },
	{ "profile", no_argument, NULL, OPT_PROFILE },
	{ "info", no_argument, NULL, OPT_INFO },
	{ "list", no_argument, NULL, OPT_INFO },
	{ "verify", no_argument, NULL, OPT_VERIFY },
	{ "resident", no_argument, NULL, OPT_RESIDENT },
	{ "delete", required_argument, NULL, OPT_DELETE },
	{ "refresh", required_argument, NULL, OPT_REFRESH },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, 'h' },
	{ }
};

static uint32_t parse_number(const char *option, const char *text, uint32_t min, uint32_t max)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *end || text[0] < '0' || text[0] > '9' || value < min || value > max)
		die(EXIT_USAGE, "--%s %s: must be a number from %u to %u", option, text, min, max);
	return value;
}

static void add_text(struct options *options, const char *text)
{
	const char **grown;

	grown = realloc(options->texts, (options->nr_texts + 1) * sizeof(*grown));
	if (!grown)
		die(EXIT_INPUT, "no memory for %zu texts", options->nr_texts + 1);
	grown[options->nr_texts++] = text;
	options->texts = grown;
}

/* What getopt did not like, in a sentence */
static _Noreturn void bad_option(char **argv, int option)
{
	const char *text = argv[optind - 1];

	if (option == ':')
		die(EXIT_USAGE, "option %s needs a value; try mxrun --help", text);
	if (!strncmp(text, "--", 2) && optopt)
		die(EXIT_USAGE, "option %s takes no value; try mxrun --help", text);
	if (optopt)
		die(EXIT_USAGE, "there is no option -%c; try mxrun --help", optopt);
	die(EXIT_USAGE, "there is no option %s, or more than one begins so; try mxrun --help", text);
}

static void take_option(struct options *options, char **argv, int option)
{
	switch (option) {
	case 't':
		add_text(options, optarg);
		break;
	case 'i':
		options->ids = optarg;
		break;
	case 'o':
		options->out = optarg;
		break;
	case 'e':
		options->entry = optarg;
		break;
	case 'd':
		options->device = optarg;
		break;
	case OPT_THREADS:
		options->threads = parse_number("threads", optarg, 1, 64);
		break;
	case OPT_ISA:
		options->isa = optarg;
		break;
	case OPT_BATCH:
		options->batch = parse_number("batch", optarg, 1, UINT32_MAX);
		break;
	case OPT_TIMEOUT:
		options->timeout_ms = parse_number("timeout", optarg, 1, UINT32_MAX);
		break;
	case OPT_COUNTERS:
		options->counters = true;
		break;
	case OPT_JSON:
		options->json = optarg;
		break;
	case OPT_TRACE:
		options->trace = optarg;
		break;
	case OPT_TRACE_TOKENS:
		options->trace_tokens = true;
		break;
	case 'v':
		options->verbose = true;
		break;
	case OPT_REPEAT:
		options->repeat = parse_number("repeat", optarg, 1, 1000000);
		break;
	case OPT_PROFILE:
		options->profile = true;
		break;
	case OPT_INFO:
		options->info = true;
		break;
	case OPT_VERIFY:
		options->verify = true;
		break;
	case OPT_RESIDENT:
		options->resident = true;
		break;
	case OPT_DELETE:
		options->delete = true;
		options->id = parse_number("delete", optarg, 0, UINT32_MAX);
		break;
	case OPT_REFRESH:
		options->refresh = true;
		options->refresh_id = parse_number("refresh", optarg, 0, UINT32_MAX);
		break;
	case OPT_VERSION:
		printf("mxrun, libmxrt %u.%u.%u\n", mxrt_version() >> 16, mxrt_version() >> 8 & 0xff,
		       mxrt_version() & 0xff);
		exit(EXIT_SUCCESS);
	case 'h':
		fputs(help, stdout);
		exit(EXIT_SUCCESS);
	default:
		bad_option(argv, option);
	}
}

void parse_options(int argc, char **argv, struct options *options)
{
	int option;

	*options = (struct options){ .repeat = 1 };
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":t:i:o:e:d:vh", long_options, NULL)) != -1)
		take_option(options, argv, option);
	if (options->resident || options->delete || options->refresh) {
		if (optind < argc)
			die(EXIT_USAGE, "--resident, --delete and --refresh are about a device, not about %s",
			    argv[optind]);
		return;
	}
	if (optind == argc)
		die(EXIT_USAGE, "no image named; try mxrun --help");
	if (optind + 1 < argc)
		die(EXIT_USAGE, "one image at a time, not %s and %s", argv[optind],
		    argv[optind + 1]);
	options->image = argv[optind];
	if (options->info)
		return;
	if (!options->ids && !options->nr_texts)
		die(EXIT_USAGE, "nothing to run: give --text or --ids (or --info)");
	if (options->ids && options->nr_texts)
		die(EXIT_USAGE, "--text and --ids exclude each other");
	if (options->ids && !options->out && !options->trace)
		die(EXIT_USAGE, "--ids needs --out FILE for the result (or --trace FILE)");
	if (options->trace_tokens && !options->trace)
		die(EXIT_USAGE, "--trace-tokens needs --trace FILE");
	if (!options->entry)
		options->entry = options->ids ? "tokens" : "sentence";
}
