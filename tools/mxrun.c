// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * mxrun: runs a model image on text or token ids. A thin command line over
 * libmxrt; see its --help.
 */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mxrun.h"
#include "npy.h"

#define BATCH_TOKENS	8192
#define MAX_COUNTERS	256

/**
 * struct session - everything that is open
 * @cycles:	modelled, of one run over everything
 */
struct session {
	const struct options *options;
	struct mxrt_image *image;
	struct mxrt_image_info info;
	struct mxrt_entry_info entry;
	struct mxrt_device *dev;
	struct mxrt_model *model;
	struct npy_writer writer;
	uint64_t cycles;
	struct profile profile;
	struct mxrt_watch watch;
};

/* The half-written result, for the signals that end the program */
static _Atomic(char *) temp_file;

static void end_by_signal(int number)
{
	if (temp_file)
		unlink(temp_file);
	signal(number, SIG_DFL);
	raise(number);
}

void die(int code, const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("mxrun: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(code);
}

static void *allocate(size_t count, size_t each)
{
	void *memory = calloc(count ? count : 1, each);

	if (!memory)
		die(EXIT_INPUT, "no memory for %zu times %zu bytes", count, each);
	return memory;
}

/* ---------------------------------------------------------------- input */

/* Ids of all texts, padded to the longest; *lengths in ids. */
static void batch_from_texts(const struct session *session, struct batch *batch, size_t **lengths)
{
	const struct options *options = session->options;
	size_t most = session->info.max_tokens;
	int32_t *ids = allocate(options->nr_texts, most * sizeof(*ids));
	size_t i, longest = 0;

	*lengths = allocate(options->nr_texts, sizeof(**lengths));
	for (i = 0; i < options->nr_texts; i++) {
		size_t *length = &(*lengths)[i];

		if (mxrt_tokenize(session->image, options->texts[i], ids + i * most, most, length))
			die(EXIT_INPUT, "text %zu: %s", i + 1, mxrt_last_error());
		if (*length > most) {
			fprintf(stderr, "mxrun: text %zu takes %zu tokens, model %s at most %zu: cut\n",
				i + 1, *length, session->info.name, most);
			*length = most;
		}
		if (*length > longest)
			longest = *length;
	}
	batch->rows = options->nr_texts;
	batch->cols = longest;
	batch->ids = allocate(batch->rows, longest * sizeof(*ids));
	for (i = 0; i < batch->rows; i++)
		memcpy(batch->ids + i * longest, ids + i * most, (*lengths)[i] * sizeof(*ids));
	free(ids);
}

/* Finds bad ids before anything runs, to name their places in the whole file. */
static void check_ids(const struct session *session, const struct batch *batch)
{
	const char *path = session->options->ids;
	size_t row, col;
	bool empty;
	int32_t id;

	if (!batch->rows)
		die(EXIT_INPUT, "%s: no sequences, its shape is [0, %zu]", path, batch->cols);
	if (!batch->cols)
		die(EXIT_INPUT, "%s: no tokens, its shape is [%zu, 0]", path, batch->rows);
	if (batch->cols > session->info.max_tokens)
		die(EXIT_INPUT, "%s: %zu tokens per sequence, model %s takes at most %u", path,
		    batch->cols, session->info.name, session->info.max_tokens);
	for (row = 0; row < batch->rows; row++) {
		empty = true;
		for (col = 0; col < batch->cols; col++) {
			id = batch->ids[row * batch->cols + col];
			if (id < 0 || (uint32_t)id >= session->info.vocab)
				die(EXIT_INPUT,
				    "%s: token id %d (sequence %zu, position %zu) is outside the vocabulary, ids 0 to %u",
				    path, id, row, col, session->info.vocab - 1);
			empty = empty && !id;
		}
		if (empty)
			die(EXIT_INPUT, "%s: sequence %zu has no tokens, only padding", path, row);
	}
}

static void batch_from_file(const struct session *session, struct batch *batch)
{
	struct npy_ids ids;
	char err[512];

	if (npy_read_ids(session->options->ids, &ids, err, sizeof(err)))
		die(EXIT_INPUT, "%s", err);
	*batch = (struct batch){ ids.rows, ids.cols, ids.data };
	check_ids(session, batch);
}

/* ------------------------------------------------------------- inference */

static void open_image(struct session *session)
{
	const struct options *options = session->options;
	int index;

	if (mxrt_image_open(options->image,
			    options->info || options->verify ? MXRT_IMAGE_VERIFY : 0, &session->image))
		die(EXIT_INPUT, "%s", mxrt_last_error());
	session->info.size = sizeof(session->info);
	mxrt_image_info(session->image, &session->info);
	if (options->info)
		return;
	index = mxrt_image_find_entry(session->image, options->entry);
	if (index < 0)
		die(EXIT_USAGE, "%s; --info lists them", mxrt_last_error());
	session->entry.size = sizeof(session->entry);
	mxrt_image_entry(session->image, index, &session->entry);
}

static void open_device(struct session *session)
{
	const struct options *options = session->options;
	struct mxrt_open_params params = {
		.size = sizeof(params),
		.threads = options->threads,
		.isa = options->isa,
		.watch = options->profile ? &session->watch : NULL,
	};

	session->watch = (struct mxrt_watch){ profile_op, &session->profile };

	if (mxrt_open(options->device, &params, &session->dev))
		die(EXIT_JOB, "%s", mxrt_last_error());
	if (mxrt_load(session->dev, session->image, NULL, &session->model))
		die(EXIT_JOB, "%s", mxrt_last_error());
}

/* Ends the program without the half-written result. */
static void fail(struct session *session, int code, const char *sentence)
{
	temp_file = NULL;
	npy_abandon(&session->writer);
	die(code, "%s", sentence);
}

static void show_progress(size_t done, size_t all)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r%zu of %zu sequences%s", done, all, done == all ? "\n" : "");
}

/* Elements of the result of one sequence */
static size_t row_values(const struct session *session, size_t cols)
{
	const struct mxrt_tensor *output = &session->entry.output;

	return output->dim[output->nr_dims - 1] * (output->nr_dims == 3 ? cols : 1);
}

/*
 * Runs everything once, some sequences at a time; the result goes to @values
 * (all of it), or to the file, or nowhere but @values reused.
 */
static void run(struct session *session, const struct batch *batch, size_t step, float *values,
		bool keep, bool write)
{
	struct mxrt_result result = { .size = sizeof(result) };
	size_t each = row_values(session, batch->cols);
	size_t done, rows;
	char err[512];
	float *out;

	session->cycles = 0;
	for (done = 0; done < batch->rows; done += rows) {
		rows = batch->rows - done < step ? batch->rows - done : step;
		out = values + (keep ? done * each : 0);
		struct mxrt_infer_params params = {
			.size = sizeof(params),
			.entry_index = session->entry.index,
			.timeout_ms = session->options->timeout_ms,
			.nr_seq = rows,
			.tokens = batch->cols,
			.ids = batch->ids + done * batch->cols,
			.out = out,
			.out_bytes = rows * each * sizeof(*out),
		};

		if (mxrt_infer(session->model, &params, &result))
			fail(session, EXIT_JOB, mxrt_last_error());
		session->cycles += result.cycles;
		if (write && npy_append(&session->writer, out, rows * each, err, sizeof(err)))
			fail(session, EXIT_OUTPUT, err);
		if (batch->rows > step)
			show_progress(done + rows, batch->rows);
	}
}

static size_t read_counters(struct session *session, struct mxrt_value *values)
{
	size_t count = MAX_COUNTERS;

	if (mxrt_counters(session->dev, MXRT_SCOPE_HANDLE, NULL, values, &count))
		fail(session, EXIT_JOB, mxrt_last_error());
	return count < MAX_COUNTERS ? count : MAX_COUNTERS;
}

static void create_output(struct session *session, const struct batch *batch)
{
	bool per_token = session->entry.output.nr_dims == 3;
	size_t cols = session->entry.output.dim[session->entry.output.nr_dims - 1];
	size_t shape[3] = { batch->rows, per_token ? batch->cols : cols, cols };
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	char err[512];
	size_t i;

	if (npy_create(&session->writer, session->options->out, shape, per_token ? 3 : 2, err,
		       sizeof(err)))
		die(EXIT_OUTPUT, "%s", err);
	temp_file = session->writer.temp;
	for (i = 0; i < 3; i++)
		if (signal(signals[i], end_by_signal) == SIG_IGN)
			signal(signals[i], SIG_IGN);	/* nohup, a shell's background job */
}

static void finish_output(struct session *session)
{
	char err[512];

	temp_file = NULL;
	if (npy_finish(&session->writer, err, sizeof(err)))
		die(EXIT_OUTPUT, "%s", err);
}

static void print_all(struct session *session, const struct batch *batch, const size_t *lengths,
		      const float *values)
{
	size_t each = row_values(session, batch->cols);
	size_t i;

	for (i = 0; i < batch->rows; i++)
		print_text(session->image, session->options->texts[i],
			   batch->ids + i * batch->cols, lengths[i], &session->entry,
			   values + i * each);
}

static void describe(struct session *session, struct report *report)
{
	report->device.size = sizeof(report->device);
	report->model.size = sizeof(report->model);
	if (mxrt_query(session->dev, &report->device) ||
	    mxrt_model_info(session->model, &report->model))
		die(EXIT_JOB, "%s", mxrt_last_error());
}

static void wrote(const char *path, int err)
{
	if (err)
		die(EXIT_OUTPUT, "cannot write %s: %s", path, strerror(-err));
}

/* The schedule of everything as one job */
static void write_schedule(struct session *session, const struct batch *batch)
{
	const struct options *options = session->options;
	struct mxrt_infer_params params = {
		.size = sizeof(params),
		.entry_index = session->entry.index,
		.timeout_ms = options->timeout_ms,
		.nr_seq = batch->rows,
		.tokens = batch->cols,
		.ids = batch->ids,
	};
	struct mxrt_device_info device = { .size = sizeof(device) };
	struct mxrt_span *spans = NULL;
	size_t count = 0, room;

	if (mxrt_query(session->dev, &device) ||
	    mxrt_schedule(session->model, &params, NULL, &count))
		die(EXIT_JOB, "%s", mxrt_last_error());
	room = count;
	spans = allocate(room, sizeof(*spans));
	if (mxrt_schedule(session->model, &params, spans, &count))
		die(EXIT_JOB, "%s", mxrt_last_error());
	if (count > room || room * sizeof(*spans) > device.max_io_bytes)
		die(EXIT_JOB, "the schedule of %zu sequences has %zu spans, more than %s can tell: trace fewer sequences",
		    batch->rows, count, device.name);
	wrote(options->trace, write_trace(session->image, session->entry.index, spans, count,
					  device.clock_khz, options->trace_tokens,
					  options->trace));
	free(spans);
}

static void run_all(struct session *session, const struct batch *batch, const size_t *lengths)
{
	const struct options *options = session->options;
	struct mxrt_value before[MAX_COUNTERS], growth[MAX_COUNTERS];
	struct report report = {
		.entry = session->entry.name,
		.sequences = batch->rows,
		.tokens = batch->cols,
		.repeat = options->repeat,
		.counters = growth,
	};
	size_t step = options->batch ? options->batch : BATCH_TOKENS / batch->cols;
	double *seconds = allocate(options->repeat, sizeof(*seconds));
	bool keep = options->nr_texts;	/* texts are few, and printed when all is done */
	struct profile profile = { 0 };
	double best = INFINITY;
	size_t count = 0, c;
	unsigned int i;
	float *values;

	if (!step)
		step = 1;
	if (step > batch->rows)
		step = batch->rows;
	values = allocate(keep ? batch->rows : step,
			  row_values(session, batch->cols) * sizeof(*values));
	if (options->out)
		create_output(session, batch);
	count = read_counters(session, before);
	for (i = 0; i < options->repeat; i++) {
		double start = now();

		memset(&session->profile, 0, sizeof(session->profile));
		run(session, batch, step, values, keep, options->out && !i);
		seconds[i] = now() - start;
		if (seconds[i] <= best) {
			best = seconds[i];
			profile = session->profile;
		}
		if (i)
			continue;
		read_counters(session, growth);
		for (c = 0; c < count; c++)
			growth[c].value -= before[c].value;
	}
	report.seconds = seconds;
	report.nr_counters = count;
	describe(session, &report);
	if (options->out)
		finish_output(session);
	if (options->json)
		wrote(options->json, write_report(&report, options->json));
	if (options->out && !strcmp(options->out, "-"))
		goto done;		/* the standard output is the array's */
	if (keep)
		print_all(session, batch, lengths, values);
	if (options->counters)
		print_counters(growth, count, report.device.clock_khz, options->verbose);
	if (options->profile)
		print_profile(&profile, best);
	if (options->repeat > 1)
		print_times(seconds, options->repeat, batch->rows, session->cycles,
			    report.device.clock_khz);
done:
	free(values);
	free(seconds);
}

int main(int argc, char **argv)
{
	struct session session = { 0 };
	struct options options;
	struct batch batch = { 0 };
	size_t *lengths = NULL;

	parse_options(argc, argv, &options);
	session.options = &options;
	if (options.resident || options.delete || options.refresh) {
		manage_models(&options);
		goto end;
	}
	open_image(&session);
	if (options.info) {
		print_image(session.image);
	} else {
		if (options.ids)
			batch_from_file(&session, &batch);
		else
			batch_from_texts(&session, &batch, &lengths);
		open_device(&session);
		if (options.trace)
			write_schedule(&session, &batch);
		if (options.nr_texts || options.out || options.json || options.counters)
			run_all(&session, &batch, lengths);
	}
	mxrt_unload(session.model);
	mxrt_close(session.dev);
	mxrt_image_close(session.image);
	free(batch.ids);
	free(lengths);
	free(options.texts);
end:
	if (fflush(stdout) || ferror(stdout))
		die(EXIT_OUTPUT, "cannot write to the standard output: %s", strerror(errno));
	return 0;
}
