// SPDX-License-Identifier: GPL-2.0-only
/*
 * sysfs: each file has its page in the ABI document and the other way round;
 * the counters of a job are those of the chip specification.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mxtest.h"

#define MAX_FILES	256
#define NAME_ROOM	128
#define TEXT_ROOM	1024

struct names {
	char name[MAX_FILES][NAME_ROOM];
	char text[MAX_FILES][TEXT_ROOM];	/* description, one space between words */
	int nr;
};

static void add_name(struct names *names, const char *name)
{
	if (names->nr < MAX_FILES && strlen(name) < NAME_ROOM)
		strcpy(names->name[names->nr++], name);
}

static bool has_name(const struct names *names, const char *name)
{
	int i;

	for (i = 0; i < names->nr; i++)
		if (!strcmp(names->name[i], name))
			return true;
	return false;
}

/* Files that the driver core makes in every class device */
static bool of_the_core(const char *name)
{
	static const char * const core[] = {
		"dev", "device", "power", "subsystem", "uevent", NULL
	};
	int i;

	for (i = 0; core[i]; i++)
		if (!strcmp(name, core[i]))
			return true;
	return false;
}

/* The device's files, "perf/cycles", with "<id>" for the number of a model. */
static void walk(const char *below, struct names *names)
{
	char path[PATH_MAX + NAME_ROOM], inner[NAME_ROOM], shown[NAME_ROOM + 8];
	struct dirent *entry;
	struct stat st;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/%s", mx_sysfs(NULL), below);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || (!below[0] && of_the_core(entry->d_name)))
			continue;
		if (snprintf(inner, sizeof(inner), "%s%s%s", below, below[0] ? "/" : "",
			     entry->d_name) >= (int)sizeof(inner))
			continue;
		snprintf(path, sizeof(path), "%s/%s", mx_sysfs(NULL), inner);
		if (lstat(path, &st))
			continue;
		if (S_ISDIR(st.st_mode)) {
			walk(inner, names);
			continue;
		}
		if (!strncmp(inner, "models/", 7) && strchr(inner + 7, '/'))
			snprintf(shown, sizeof(shown), "models/<id>%s", strchr(inner + 7, '/'));
		else
			snprintf(shown, sizeof(shown), "%s", inner);
		if (!has_name(names, shown))
			add_name(names, shown);
	}
	if (dir)
		closedir(dir);
}

static FILE *open_document(void)
{
	const char *given = getenv("MX_ABI");

	return fopen(given ? given : "Documentation/ABI/testing/sysfs-class-mxaccel", "r");
}

/* Appends a line's words to the description of the last page. */
static void add_text(struct names *names, const char *line)
{
	char *text = names->text[names->nr - 1];
	size_t used = strlen(text);

	snprintf(text + used, TEXT_ROOM - used, "%s%s", used ? " " : "",
		 line + strspn(line, "\t "));
}

/* Names of the document; *@incomplete counts pages without all that a page has. */
static void read_document(FILE *file, struct names *names, int *incomplete)
{
	static const char * const parts[] = { "Date:", "KernelVersion:", "Contact:",
					      "Description:" };
	const char *prefix = "/sys/class/mxaccel/mxaccel<n>/";
	char line[512], *what;
	size_t i, seen = 5;

	*incomplete = 0;
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = 0;
		/* The text of the description, of which there is at least a line */
		seen += seen == 4 && !strncmp(line, "\t\t", 2);
		if (names->nr && !strncmp(line, "\t\t", 2))
			add_text(names, line);
		if (!strncmp(line, "What:", 5)) {
			*incomplete += seen != 5;
			seen = 0;
			what = line + 5 + strspn(line + 5, " \t");
			if (strncmp(what, prefix, strlen(prefix)))
				(*incomplete)++;
			else
				add_name(names, what + strlen(prefix));
		}
		for (i = 0; i < 4; i++)
			seen += !strncmp(line, parts[i], strlen(parts[i]));
	}
	*incomplete += seen != 5;
}

FIXTURE(sysfs)
{
	struct mx_rig rig;
};

FIXTURE_SETUP(sysfs)
{
	ASSERT_EQ(0, rig_open(&self->rig));
}

FIXTURE_TEARDOWN(sysfs)
{
	EXPECT_EQ(0, rig_check(&self->rig));
	rig_close(&self->rig);
}

TEST_F(sysfs, document_and_tree_agree)
{
	static struct names live, written;
	FILE *document = open_document();
	int i, incomplete;

	if (!document)
		SKIP(return, "no ABI document: set MX_ABI");
	read_document(document, &written, &incomplete);
	fclose(document);
	walk("", &live);
	EXPECT_EQ(0, incomplete);
	EXPECT_LT(40, live.nr);
	for (i = 0; i < live.nr; i++)
		EXPECT_TRUE(has_name(&written, live.name[i])) {
			TH_LOG("%s is not documented", live.name[i]);
		}
	for (i = 0; i < written.nr; i++)
		EXPECT_TRUE(has_name(&live, written.name[i])) {
			TH_LOG("%s is documented, but not there", written.name[i]);
		}
}

/* What the header says of a value is what its page says. */
static bool described(const struct names *written, const char *name, const char *text)
{
	int i;

	for (i = 0; i < written->nr; i++)
		if (!strcmp(written->name[i], name))
			return strstr(written->text[i], text);
	return false;
}

TEST_F(sysfs, document_and_header_agree)
{
	static struct names written;
	FILE *document = open_document();
	int incomplete;

	if (!document)
		SKIP(return, "no ABI document: set MX_ABI");
	read_document(document, &written, &incomplete);
	fclose(document);
#define MXACCEL_X(name, file, text) EXPECT_TRUE(described(&written, "perf/" #file, text));
	MXACCEL_COUNTERS(MXACCEL_X)
#undef MXACCEL_X
#define MXACCEL_X(name, file, text) EXPECT_TRUE(described(&written, "chip/" #file, text));
	MXACCEL_CHIP_VALUES(MXACCEL_X)
#undef MXACCEL_X
#define MXACCEL_X(name, file, text) EXPECT_TRUE(described(&written, "health/" #file, text));
	MXACCEL_HEALTH_VALUES(MXACCEL_X)
#undef MXACCEL_X
}

TEST_F(sysfs, one_value_per_file)
{
	static struct names live;
	char path[PATH_MAX], text[8192], shown[16];
	int i, length;

	snprintf(shown, sizeof(shown), "%u", self->rig.model);
	walk("", &live);
	for (i = 0; i < live.nr; i++) {
		const char *rest = strstr(live.name[i], "<id>");

		if (rest)
			snprintf(path, sizeof(path), "models/%s%s", shown, rest + 4);
		else
			snprintf(path, sizeof(path), "%s", live.name[i]);
		length = mx_read_file(mx_sysfs(path), text, sizeof(text));
		EXPECT_LT(0, length) {
			TH_LOG("%s", path);
		}
		EXPECT_EQ(NULL, strchr(text, '\n')) {
			TH_LOG("%s has several lines", path);
		}
		/* Nobody writes. */
		EXPECT_EQ(-1, open(mx_sysfs(path), O_WRONLY) < 0 && errno == EACCES ? -1 :
			  mx_write_file(mx_sysfs(path), "1") < 0 ? -1 : 0);
	}
}

TEST_F(sysfs, models)
{
	char path[64], text[128], hex[65];
	int i;

	for (i = 0; i < 32; i++)
		sprintf(hex + 2 * i, "%02x", self->rig.tm->content[i]);
	snprintf(path, sizeof(path), "models/%u/content", self->rig.model);
	ASSERT_EQ(64, mx_read_file(mx_sysfs(path), text, sizeof(text)));
	EXPECT_STREQ(hex, text);
	snprintf(path, sizeof(path), "models/%u/name", self->rig.model);
	ASSERT_LT(0, mx_read_file(mx_sysfs(path), text, sizeof(text)));
	EXPECT_STREQ("selftest 0", text);
	snprintf(path, sizeof(path), "models/%u/params_bytes", self->rig.model);
	EXPECT_EQ(self->rig.tm->params_bytes, mx_sysfs_number(path));
	snprintf(path, sizeof(path), "models/%u/grants", self->rig.model);
	EXPECT_EQ(1, mx_sysfs_number(path));
	ASSERT_EQ(0, mx_model_close(self->rig.fd, self->rig.model));
	EXPECT_EQ(0, mx_sysfs_number(path));
	ASSERT_EQ(0, mx_model_delete(self->rig.fd, self->rig.model));
	EXPECT_EQ(-ENOENT, mx_sysfs_number(path));
	ASSERT_EQ(0, mx_program(self->rig.fd, self->rig.tm, NULL));
	EXPECT_EQ(1, mx_sysfs_number(path));
}

/* --------------------------------------------------------------- counters */

static const char * const counter_files[] = {
#define MXACCEL_X(name, file, text) #file,
	MXACCEL_COUNTERS(MXACCEL_X)
#undef MXACCEL_X
};

static void read_counters(uint64_t *values)
{
	char path[64];
	int i;

	for (i = 0; i < MXACCEL_CTR_NR; i++) {
		snprintf(path, sizeof(path), "perf/%s", counter_files[i]);
		values[i] = mx_sysfs_number(path);
	}
}

static uint64_t chip_value(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "chip/%s", name);
	return mx_sysfs_number(path);
}

static uint64_t ceil_div(uint64_t a, uint64_t b)
{
	return (a + b - 1) / b;
}

/* What a sequence of @length ids adds, as far as the chip's values tell. */
static void expect_sequence(uint64_t *want, uint64_t length, uint64_t products)
{
	const uint64_t w = TM_WIDTH;
	uint64_t rows = chip_value("small_rows");

	want[MXACCEL_CTR_SEQUENCES] += 1;
	want[MXACCEL_CTR_TOKENS] += length;
	want[MXACCEL_CTR_MACS_STATIC] += products * length * w * w;
	want[MXACCEL_CTR_SFU_EMBED] += length * w;
	want[MXACCEL_CTR_SFU_QUANT] += products * length * w;
	want[MXACCEL_CTR_BANK_READ_BYTES] += length * MXACCEL_TABLE_STRIDE(w) +
		products * MXACCEL_PANEL_BYTES(w, w) * ceil_div(length, rows);
	/* Times 8 / digit_bits, which the chip does not tell */
	want[MXACCEL_CTR_SUB_OPS] += products * length * ceil_div(w, rows) *
		ceil_div(w, chip_value("small_cols")) * (8 / chip_value("dac_bits"));
}

/* What jobs add besides: times, energies and events that depend on more than the chip tells. */
static bool costs(int counter)
{
	return counter == MXACCEL_CTR_SUB_OPS || counter == MXACCEL_CTR_ADC_CONVERSIONS ||
	       counter == MXACCEL_CTR_LINK_CYCLES || counter == MXACCEL_CTR_DAC_DRIVES ||
	       counter == MXACCEL_CTR_BUFFER_BYTES ||
	       (counter >= MXACCEL_CTR_BUSY_LARGE && counter <= MXACCEL_CTR_ENERGY_STATIC);
}

static void read_scope(struct __test_metadata *_metadata, struct mx_rig *rig, uint32_t scope,
		       uint64_t *values)
{
	struct mxaccel_counters counters = {
		.size = sizeof(counters), .scope = scope, .count = MXACCEL_CTR_NR,
		.model = scope == MXACCEL_SCOPE_MODEL ? rig->model : 0,
		.values = (uintptr_t)values,
	};

	ASSERT_EQ(0, mx_ioctl(rig->fd, MXACCEL_IOC_COUNTERS, &counters));
}

static void compare(struct __test_metadata *_metadata, const uint64_t *before,
		    const uint64_t *after, const uint64_t *want)
{
	uint64_t per_conversion = chip_value("small_cols") *
		ceil_div(chip_value("small_rows"), (1 << chip_value("adc_bits")) - 1);
	uint64_t sub_ops = after[MXACCEL_CTR_SUB_OPS] - before[MXACCEL_CTR_SUB_OPS];
	int i;

	for (i = 0; i < MXACCEL_CTR_NR; i++) {
		if (costs(i))
			continue;
		EXPECT_EQ(want[i], after[i] - before[i]) {
			TH_LOG("counter %s", counter_files[i]);
		}
	}
	EXPECT_EQ(0, sub_ops % want[MXACCEL_CTR_SUB_OPS]);
	EXPECT_LT(0, sub_ops);
	EXPECT_GE(8, sub_ops / want[MXACCEL_CTR_SUB_OPS]);
	EXPECT_EQ(sub_ops * per_conversion, after[MXACCEL_CTR_ADC_CONVERSIONS] -
		  before[MXACCEL_CTR_ADC_CONVERSIONS]);
	EXPECT_LT(before[MXACCEL_CTR_LINK_CYCLES], after[MXACCEL_CTR_LINK_CYCLES]);
	EXPECT_LT(before[MXACCEL_CTR_BUSY_LARGE], after[MXACCEL_CTR_BUSY_LARGE]);
	EXPECT_LT(before[MXACCEL_CTR_ENERGY_STATIC], after[MXACCEL_CTR_ENERGY_STATIC]);
}

/* What the device counted, it counted for the file and for the model, too. */
static void compare_scopes(struct __test_metadata *_metadata, const uint64_t *before,
			   const uint64_t *after, uint64_t scope[2][2][MXACCEL_CTR_NR])
{
	int i;

	for (i = 0; i < MXACCEL_CTR_NR; i++) {
		if (i == MXACCEL_CTR_QUEUE_BYTES)
			continue;
		EXPECT_EQ(after[i] - before[i], scope[1][0][i] - scope[0][0][i]) {
			TH_LOG("counter %s of the file", counter_files[i]);
		}
		EXPECT_EQ(after[i] - before[i], scope[1][1][i] - scope[0][1][i]) {
			TH_LOG("counter %s of the model", counter_files[i]);
		}
	}
}

/* One job by the formulas; @lengths of its sequences, which are padded to @tokens. */
static void count_job(struct __test_metadata *_metadata, struct mx_rig *rig, uint32_t entry,
		      uint64_t products, uint32_t tokens, const uint32_t *lengths, uint32_t nr)
{
	uint64_t before[MXACCEL_CTR_NR], after[MXACCEL_CTR_NR], want[MXACCEL_CTR_NR] = {};
	uint64_t scope[2][2][MXACCEL_CTR_NR];
	struct mxaccel_submit submit = rig_job(rig, entry, nr, tokens);
	struct mxaccel_completion c;
	uint32_t i;

	for (i = 0; i < nr; i++)
		memset(rig->in + i * tokens + lengths[i], 0, (tokens - lengths[i]) * 4);
	read_scope(_metadata, rig, MXACCEL_SCOPE_CONTEXT, scope[0][0]);
	read_scope(_metadata, rig, MXACCEL_SCOPE_MODEL, scope[0][1]);
	read_counters(before);
	ASSERT_EQ(0, mx_submit(rig->fd, &submit));
	ASSERT_EQ(1, mx_wait(rig->fd, 25000, &c, 1));
	ASSERT_EQ(0, c.error);
	read_counters(after);
	read_scope(_metadata, rig, MXACCEL_SCOPE_CONTEXT, scope[1][0]);
	read_scope(_metadata, rig, MXACCEL_SCOPE_MODEL, scope[1][1]);
	compare_scopes(_metadata, before, after, scope);

	for (i = 0; i < nr; i++) {
		expect_sequence(want, lengths[i], products);
		if (entry == ENTRY_LONG)
			want[MXACCEL_CTR_SFU_POOL] += (uint64_t)lengths[i] * TM_WIDTH;
	}
	want[MXACCEL_CTR_JOBS] = 1;
	want[MXACCEL_CTR_CYCLES] = c.result;
	/* Over the link: the ids, the result, and one entry of each ring. */
	want[MXACCEL_CTR_DMA_READ_BYTES] = submit.in_bytes;
	want[MXACCEL_CTR_DMA_WRITE_BYTES] = submit.out_bytes;
	want[MXACCEL_CTR_QUEUE_BYTES] = sizeof(struct mxaccel_sqe) + sizeof(struct mxaccel_cqe);
	compare(_metadata, before, after, want);
}

TEST_F(sysfs, counters_of_a_job)
{
	count_job(_metadata, &self->rig, ENTRY_ROWS, 1, 20, (const uint32_t[]){ 20, 7, 1 }, 3);
}

TEST_F(sysfs, counters_of_a_long_job)
{
	count_job(_metadata, &self->rig, ENTRY_LONG, TM_LONG_OPS, 33, (const uint32_t[]){ 33, 2 },
		  2);
}

TEST_F(sysfs, counters_of_a_failed_job)
{
	uint64_t before[MXACCEL_CTR_NR], after[MXACCEL_CTR_NR];
	struct mxaccel_submit submit = rig_job(&self->rig, ENTRY_ROWS, 1, 4);
	struct mxaccel_completion c;

	self->rig.in[2] = TM_VOCAB;
	read_counters(before);
	ASSERT_EQ(0, mx_submit(self->rig.fd, &submit));
	ASSERT_EQ(1, mx_wait(self->rig.fd, 25000, &c, 1));
	ASSERT_EQ(-EDOM, c.error);
	read_counters(after);
	EXPECT_EQ(before[MXACCEL_CTR_JOBS_FAILED] + 1, after[MXACCEL_CTR_JOBS_FAILED]);
	EXPECT_EQ(before[MXACCEL_CTR_JOBS], after[MXACCEL_CTR_JOBS]);
	EXPECT_EQ(before[MXACCEL_CTR_MACS_STATIC], after[MXACCEL_CTR_MACS_STATIC]);
	EXPECT_EQ(before[MXACCEL_CTR_DMA_WRITE_BYTES], after[MXACCEL_CTR_DMA_WRITE_BYTES]);
}

/* Chunks of the model programmed, each once; the chip gets no younger. */
TEST_F(sysfs, health_of_programming)
{
	struct testmodel *tm = tm_make(11, 1000);
	long long wear = mx_sysfs_number("health/wear_total");
	long long life = mx_sysfs_number("health/life_ppm");
	struct mxaccel_model_program program;
	uint64_t chunks;

	ASSERT_LE(0, wear);
	chunks = ceil_div(sizeof(tm->model), MXACCEL_CHUNK) +
		 ceil_div(tm->params_bytes, MXACCEL_CHUNK);
	ASSERT_EQ(0, mx_program(self->rig.fd, tm, &program));
	EXPECT_EQ(wear + chunks, mx_sysfs_number("health/wear_total"));
	EXPECT_LT(0, mx_sysfs_number("health/wear_max"));
	EXPECT_GE(life, mx_sysfs_number("health/life_ppm"));
	EXPECT_LE(mx_sysfs_number("health/wear_min"), mx_sysfs_number("health/wear_max"));
	EXPECT_EQ(0, mx_model_close(self->rig.fd, program.model));
	EXPECT_EQ(0, mx_model_delete(self->rig.fd, program.model));
	tm_free(tm);
}

TEST_F(sysfs, counters_of_programming)
{
	struct testmodel *tm = tm_make(9, 1000);
	uint64_t bytes = sizeof(tm->model) + tm->params_bytes;
	uint64_t before[MXACCEL_CTR_NR], after[MXACCEL_CTR_NR];
	struct mxaccel_model_program program;

	read_counters(before);
	ASSERT_EQ(0, mx_program(self->rig.fd, tm, &program));
	read_counters(after);
	EXPECT_EQ(0, program.resident);
	EXPECT_EQ(ceil_div(sizeof(tm->model) * 8, chip_value("cell_bits")) +
		  ceil_div(tm->params_bytes * 8, chip_value("cell_bits")),
		  after[MXACCEL_CTR_CELL_WRITES] - before[MXACCEL_CTR_CELL_WRITES]);
	EXPECT_EQ(bytes, after[MXACCEL_CTR_DMA_READ_BYTES] - before[MXACCEL_CTR_DMA_READ_BYTES]);
	EXPECT_EQ(0, mx_model_close(self->rig.fd, program.model));
	EXPECT_EQ(0, mx_model_delete(self->rig.fd, program.model));
	tm_free(tm);
}

/* Each I/O queue's interrupt, of a device with several, prefers processors of its own. */
TEST(interrupts_prefer_their_processors)
{
	long long queues = mx_sysfs_number("queues"), vectors = mx_sysfs_number("vectors");
	const char *node = strrchr(mx_device(), '/') + 1;
	char line[4096], name[32], path[64], cpus[64];
	int irq, index, found = 0;
	FILE *in;

	if (vectors < 2 || queues != sysconf(_SC_NPROCESSORS_CONF))
		SKIP(return, "needs a queue for each processor");
	in = fopen("/proc/interrupts", "r");
	ASSERT_TRUE(in);
	while (fgets(line, sizeof(line), in)) {
		char *last = strrchr(line, ' ');

		snprintf(name, sizeof(name), " %s-%%d", node);
		if (!last || sscanf(last, name, &index) != 1 || sscanf(line, "%d:", &irq) != 1 ||
		    !index)
			continue;
		snprintf(path, sizeof(path), "/proc/irq/%d/smp_affinity_list", irq);
		ASSERT_LT(0, mx_read_file(path, cpus, sizeof(cpus)));
		EXPECT_EQ(index - 1, atoi(cpus));
		EXPECT_EQ(NULL, strpbrk(cpus, ",-"));
		found++;
	}
	fclose(in);
	EXPECT_EQ(queues, found);
}

TEST_HARNESS_MAIN
