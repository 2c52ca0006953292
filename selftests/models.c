// SPDX-License-Identifier: GPL-2.0-only
/* Models: programming and what it refuses, use, the directory, deletion. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mxtest.h"

FIXTURE(models)
{
	struct testmodel *tm;
	int fd;
};

static uint32_t count_models(int fd)
{
	struct mxaccel_model_list list = { .size = sizeof(list) };

	return mx_ioctl(fd, MXACCEL_IOC_MODEL_LIST, &list) ? UINT32_MAX : list.count;
}

static void delete_all(int fd)
{
	struct mxaccel_model_info infos[64];
	struct mxaccel_model_list list = {
		.size = sizeof(list), .count = 64, .infos = (uintptr_t)infos,
	};
	uint32_t i;

	if (mx_ioctl(fd, MXACCEL_IOC_MODEL_LIST, &list))
		return;
	for (i = 0; i < list.count && i < 64; i++)
		mx_model_delete(fd, infos[i].id);
}

FIXTURE_SETUP(models)
{
	self->fd = mx_open();
	ASSERT_LE(0, self->fd);
	delete_all(self->fd);
	self->tm = tm_make(1, 0);
}

FIXTURE_TEARDOWN(models)
{
	struct mx_rig rig;

	/* Closing ends the file's use of its models; then all can go. */
	close(self->fd);
	self->fd = mx_open();
	delete_all(self->fd);
	EXPECT_EQ(0, count_models(self->fd));
	close(self->fd);
	tm_free(self->tm);
	EXPECT_EQ(0, rig_open(&rig));
	EXPECT_EQ(0, rig_check(&rig));
	rig_close(&rig);
}

TEST_F(models, program_once)
{
	struct mxaccel_model_program first, second;
	long long before = mx_sysfs_number("perf/cell_writes"), after;

	ASSERT_EQ(0, mx_program(self->fd, self->tm, &first));
	EXPECT_EQ(0, first.resident);
	EXPECT_EQ(0, first.status);
	after = mx_sysfs_number("perf/cell_writes");
	EXPECT_LT(before, after);
	/* Again, through another file: nothing is written. */
	ASSERT_EQ(0, mx_program(self->fd, self->tm, &second));
	EXPECT_EQ(1, second.resident);
	EXPECT_EQ(first.model, second.model);
	EXPECT_EQ(after, mx_sysfs_number("perf/cell_writes"));
	EXPECT_EQ(1, count_models(self->fd));
}

TEST_F(models, uses_are_counted)
{
	struct mxaccel_model_program program;
	uint32_t model;

	ASSERT_EQ(0, mx_program(self->fd, self->tm, &program));
	ASSERT_EQ(0, mx_model_open(self->fd, self->tm, &model));
	EXPECT_EQ(program.model, model);
	EXPECT_EQ(0, mx_model_close(self->fd, model));
	EXPECT_EQ(-EBUSY, mx_model_delete(self->fd, model));
	EXPECT_EQ(0, mx_model_close(self->fd, model));
	EXPECT_EQ(-ENOENT, mx_model_close(self->fd, model));
	EXPECT_EQ(0, mx_model_delete(self->fd, model));
	EXPECT_EQ(-ENOENT, mx_model_delete(self->fd, model));
	EXPECT_EQ(-ENOENT, mx_model_open(self->fd, self->tm, &model));
	EXPECT_EQ(0, count_models(self->fd));
}

/* Of a model that is in use: worn once more, and nothing is sent. */
TEST_F(models, refresh)
{
	long long writes = mx_sysfs_number("perf/cell_writes"), wear, sent, ever;
	struct mxaccel_model_program program;
	char path[64];
	int i;

	ASSERT_EQ(0, mx_program(self->fd, self->tm, &program));
	snprintf(path, sizeof(path), "models/%u/refreshes", program.model);
	EXPECT_EQ(0, mx_sysfs_number(path));
	writes = mx_sysfs_number("perf/cell_writes") - writes;
	wear = mx_sysfs_number("health/wear_total");
	ever = mx_sysfs_number("health/refreshes");
	sent = mx_sysfs_number("perf/dma_read_bytes");
	for (i = 1; i < 3; i++) {
		long long before = mx_sysfs_number("perf/cell_writes");

		EXPECT_EQ(0, mx_model_refresh(self->fd, program.model));
		EXPECT_EQ(writes, mx_sysfs_number("perf/cell_writes") - before);
		EXPECT_LT(wear, mx_sysfs_number("health/wear_total"));
		wear = mx_sysfs_number("health/wear_total");
		EXPECT_EQ(ever + i, mx_sysfs_number("health/refreshes"));
		EXPECT_EQ(i, mx_sysfs_number(path));
	}
	EXPECT_EQ(sent, mx_sysfs_number("perf/dma_read_bytes"));
	snprintf(path, sizeof(path), "models/%u/age_seconds", program.model);
	EXPECT_EQ(0, mx_sysfs_number(path));
	EXPECT_EQ(-ENOENT, mx_model_refresh(self->fd, program.model + 1));
	EXPECT_EQ(0, mx_model_close(self->fd, program.model));
	EXPECT_EQ(0, mx_model_refresh(self->fd, program.model));
	EXPECT_EQ(0, mx_model_delete(self->fd, program.model));
	EXPECT_EQ(-ENOENT, mx_model_refresh(self->fd, program.model));
}

TEST_F(models, busy_while_a_job_runs)
{
	struct mxaccel_completion c;
	struct mxaccel_submit submit;
	struct mx_rig rig;

	ASSERT_EQ(0, rig_open(&rig));
	submit = rig_long_job(&rig);
	ASSERT_EQ(0, mx_submit(rig.fd, &submit));
	EXPECT_EQ(-EBUSY, mx_model_close(rig.fd, rig.model));
	EXPECT_EQ(-EBUSY, mx_model_delete(rig.fd, rig.model));
	EXPECT_EQ(0, mx_cancel(rig.fd, submit.job));
	EXPECT_EQ(1, mx_wait(rig.fd, 20000, &c, 1));
	EXPECT_EQ(0, mx_model_close(rig.fd, rig.model));
	rig_close(&rig);
}

TEST_F(models, list)
{
	struct testmodel *other = tm_make(2, 4096);
	struct mxaccel_model_program a, b;
	struct mxaccel_model_info *infos = mx_edge_alloc(2 * sizeof(*infos),
							 PROT_READ | PROT_WRITE);
	struct mxaccel_model_list list = {
		.size = sizeof(list), .count = 100, .infos = (uintptr_t)infos,
	};

	ASSERT_EQ(0, mx_program(self->fd, self->tm, &a));
	ASSERT_EQ(0, mx_program(self->fd, other, &b));
	/* Room for more is no lie as long as nothing is written there. */
	ASSERT_EQ(0, mx_ioctl(self->fd, MXACCEL_IOC_MODEL_LIST, &list));
	ASSERT_EQ(2, list.count);
	EXPECT_EQ(a.model, infos[0].id);
	EXPECT_EQ(0, memcmp(infos[0].content, self->tm->content, 32));
	EXPECT_EQ(0, memcmp(infos[1].content, other->content, 32));
	EXPECT_EQ(0, strcmp("selftest 2", infos[1].name));
	EXPECT_EQ(sizeof(other->model), infos[1].model_bytes);
	EXPECT_EQ(other->params_bytes, infos[1].params_bytes);
	/* Less room: what fits, and the true number. */
	memset(infos, 0, 2 * sizeof(*infos));
	list.count = 1;
	ASSERT_EQ(0, mx_ioctl(self->fd, MXACCEL_IOC_MODEL_LIST, &list));
	EXPECT_EQ(2, list.count);
	EXPECT_EQ(0, infos[1].model_bytes);
	tm_free(other);
}

/* Tries to program something damaged; nothing of it stays. */
static int refuse(int fd, struct testmodel *tm, uint32_t *status)
{
	uint32_t before = count_models(fd), free_before = mx_sysfs_number("chip/free_bytes");
	struct mxaccel_model_program program;
	int err = mx_program(fd, tm, &program);

	*status = program.status;
	if (count_models(fd) != before || mx_sysfs_number("chip/free_bytes") != free_before)
		return 1;
	return err;
}

TEST_F(models, one_flipped_bit)
{
	uint32_t status;

	self->tm->params[12345] ^= 0x10;
	EXPECT_EQ(-EBADMSG, refuse(self->fd, self->tm, &status));
	EXPECT_EQ(MXACCEL_ST_BAD_HASH, status);
	self->tm->params[12345] ^= 0x10;
	self->tm->content[31] ^= 1;
	EXPECT_EQ(-EBADMSG, refuse(self->fd, self->tm, &status));
}

TEST_F(models, truncated)
{
	uint32_t status;

	self->tm->params_bytes -= 64;
	EXPECT_EQ(-EBADMSG, refuse(self->fd, self->tm, &status));
	/* Sealed, but the weights that the program names are not all there. */
	tm_seal(self->tm);
	EXPECT_EQ(-EINVAL, refuse(self->fd, self->tm, &status));
	EXPECT_EQ(MXACCEL_ST_BAD_IMAGE, status);
}

TEST_F(models, of_a_future_version)
{
	uint32_t status;

	self->tm->model.head.version = 99;
	tm_seal(self->tm);
	EXPECT_EQ(-EPROTONOSUPPORT, refuse(self->fd, self->tm, &status));
	EXPECT_EQ(MXACCEL_ST_BAD_VERSION, status);
	self->tm->model.head.version = MXACCEL_MODEL_VERSION;
	self->tm->model.head.incompat = 1ULL << 40;
	tm_seal(self->tm);
	EXPECT_EQ(-EPROTONOSUPPORT, refuse(self->fd, self->tm, &status));
}

TEST_F(models, larger_than_the_chip)
{
	long long capacity = mx_sysfs_number("chip/capacity_bytes");
	struct mxaccel_model_program program = { .size = sizeof(program) };

	/* Sizes alone are enough: nothing is read. */
	program.model_addr = 8;
	program.model_bytes = sizeof(self->tm->model);
	program.params_addr = 8;
	program.params_bytes = capacity;
	EXPECT_EQ(-EFBIG, mx_ioctl(self->fd, MXACCEL_IOC_MODEL_PROGRAM, &program));
	EXPECT_EQ(MXACCEL_ST_TOO_LARGE, program.status);
	EXPECT_EQ(0, count_models(self->fd));
}

TEST_F(models, no_room_left)
{
	long long capacity = mx_sysfs_number("chip/capacity_bytes");
	struct testmodel *large;
	uint32_t status;
	int err;

	if (capacity > 8 << 20)
		SKIP(return, "the chip is too large to fill");
	large = tm_make(3, capacity * 3 / 4 - self->tm->params_bytes - sizeof(self->tm->model));
	ASSERT_EQ(0, mx_program(self->fd, large, NULL));
	tm_free(large);
	large = tm_make(4, capacity / 2 - self->tm->params_bytes - sizeof(self->tm->model));
	err = refuse(self->fd, large, &status);
	EXPECT_EQ(-ENOSPC, err);
	EXPECT_EQ(MXACCEL_ST_NO_SPACE, status);
	tm_free(large);
}

TEST_F(models, no_slot_left)
{
	long long slots = mx_sysfs_number("chip/max_models"), i;
	struct testmodel *tm;
	uint32_t status;

	if (slots > 8)
		SKIP(return, "the directory is too large to fill");
	for (i = 0; i < slots; i++) {
		tm = tm_make(10 + i, 0);
		/* They share their parameters, or else the cells would not do. */
		ASSERT_EQ(0, mx_program_shared(self->fd, tm, NULL));
		tm_free(tm);
	}
	EXPECT_EQ(-ENOSPC, refuse(self->fd, self->tm, &status));
	EXPECT_EQ(slots, count_models(self->fd));
}

static uint64_t counter(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "perf/%s", name);
	return mx_sysfs_number(path);
}

/* One chunk differs: only that and the program are programmed, whatever pages hold the digests. */
TEST_F(models, shared_chunks)
{
	struct testmodel *other = tm_make(5, 3 * MXACCEL_CHUNK);
	struct testmodel *first = tm_make(6, 3 * MXACCEL_CHUNK);
	uint64_t chunks = (other->params_bytes + MXACCEL_CHUNK - 1) / MXACCEL_CHUNK;
	uint8_t *edge = mx_edge_alloc(chunks * 32, PROT_READ | PROT_WRITE), *own;
	struct mxaccel_model_program program;
	uint64_t reused, cells;

	ASSERT_EQ(0, mx_program_shared(self->fd, first, &program));
	EXPECT_EQ(0, program.reused_chunks);
	EXPECT_EQ(sizeof(first->model) + first->params_bytes, program.programmed_bytes);
	reused = counter("reused_chunks");
	cells = counter("cell_writes");

	other->params[other->params_bytes - MXACCEL_CHUNK - 1] ^= 1;
	tm_seal(other);
	memcpy(edge, other->chunks, chunks * 32);
	own = other->chunks;
	other->chunks = edge;
	ASSERT_EQ(0, mx_program_shared(self->fd, other, &program));
	EXPECT_EQ(0, program.resident);
	EXPECT_EQ(chunks - 1, program.reused_chunks);
	EXPECT_EQ(sizeof(other->model) + MXACCEL_CHUNK, program.programmed_bytes);
	EXPECT_EQ(chunks - 1, counter("reused_chunks") - reused);
	EXPECT_EQ(program.programmed_bytes * 8 / mx_sysfs_number("chip/cell_bits"),
		  counter("cell_writes") - cells);
	EXPECT_EQ(2, count_models(self->fd));

	/* Resident as a whole: not even asked. */
	ASSERT_EQ(0, mx_program_shared(self->fd, other, &program));
	EXPECT_EQ(1, program.resident);
	EXPECT_EQ(0, program.reused_chunks);
	EXPECT_EQ(0, program.programmed_bytes);
	other->chunks = own;
	tm_free(other);
	tm_free(first);
}

/* Digests that are not there, or not those of the parameters: nothing stays. */
TEST_F(models, shared_chunks_refused)
{
	struct testmodel *other = tm_make(7, 0);
	uint64_t free_before, chunks;
	uint8_t *own = other->chunks, *edge;

	ASSERT_EQ(0, mx_program_shared(self->fd, self->tm, NULL));
	free_before = mx_sysfs_number("chip/free_bytes");
	chunks = (other->params_bytes + MXACCEL_CHUNK - 1) / MXACCEL_CHUNK;
	edge = mx_edge_alloc(chunks * 32, PROT_READ | PROT_WRITE);
	other->chunks = edge + 1;
	EXPECT_EQ(-EFAULT, mx_program_shared(self->fd, other, NULL));
	other->chunks = (uint8_t *)(uintptr_t)(UINT64_MAX - 31);
	EXPECT_EQ(-EFAULT, mx_program_shared(self->fd, other, NULL));
	/* The chip has what these name, but the content is another. */
	other->params[0] ^= 1;
	other->chunks = NULL;
	tm_seal(other);
	memcpy(edge, self->tm->chunks, chunks * 32);
	free(other->chunks);
	other->chunks = edge;
	EXPECT_EQ(-EBADMSG, mx_program_shared(self->fd, other, NULL));
	EXPECT_EQ(1, count_models(self->fd));
	EXPECT_EQ(free_before, mx_sysfs_number("chip/free_bytes"));
	other->chunks = NULL;
	tm_free(other);
	free(own);
}

TEST_F(models, memory_that_is_not_there)
{
	struct mxaccel_model_program program = {
		.size = sizeof(program), .model_addr = (uintptr_t)&self->tm->model,
		.model_bytes = sizeof(self->tm->model), .params_addr = 64,
		.params_bytes = self->tm->params_bytes,
	};
	uint8_t *edge = mx_edge_alloc(self->tm->params_bytes, PROT_READ | PROT_WRITE);

	memcpy(program.content, self->tm->content, 32);
	EXPECT_EQ(-EFAULT, mx_ioctl(self->fd, MXACCEL_IOC_MODEL_PROGRAM, &program));
	memcpy(edge, self->tm->params, self->tm->params_bytes);
	program.params_addr = (uintptr_t)edge + 1;
	EXPECT_EQ(-EFAULT, mx_ioctl(self->fd, MXACCEL_IOC_MODEL_PROGRAM, &program));
	program.params_addr = (uintptr_t)edge;
	program.model_addr = UINT64_MAX - 4095;
	EXPECT_EQ(-EFAULT, mx_ioctl(self->fd, MXACCEL_IOC_MODEL_PROGRAM, &program));
	EXPECT_EQ(0, count_models(self->fd));
	program.model_addr = (uintptr_t)&self->tm->model;
	EXPECT_EQ(0, mx_ioctl(self->fd, MXACCEL_IOC_MODEL_PROGRAM, &program));
}

TEST_F(models, from_a_read_only_file)
{
	struct mxaccel_model_program program = {
		.size = sizeof(program), .model_addr = (uintptr_t)&self->tm->model,
		.model_bytes = sizeof(self->tm->model), .params_bytes = self->tm->params_bytes,
	};
	int file = memfd_create("params", 0), shared;
	void *mem;

	ASSERT_EQ((ssize_t)self->tm->params_bytes,
		  write(file, self->tm->params, self->tm->params_bytes));
	memcpy(program.content, self->tm->content, 32);
	for (shared = 0; shared < 2; shared++) {
		mem = mmap(NULL, self->tm->params_bytes, PROT_READ,
			   shared ? MAP_SHARED : MAP_PRIVATE, file, 0);
		ASSERT_NE(MAP_FAILED, mem);
		program.params_addr = (uintptr_t)mem;
		program.resident = 0;
		EXPECT_EQ(0, mx_ioctl(self->fd, MXACCEL_IOC_MODEL_PROGRAM, &program));
		EXPECT_EQ(0, program.resident);
		EXPECT_EQ(0, mx_model_close(self->fd, program.model));
		EXPECT_EQ(0, mx_model_delete(self->fd, program.model));
	}
	close(file);
}

static void ignore(int signal)
{
	(void)signal;
}

TEST_F(models, interrupted)
{
	struct sigaction action = { .sa_handler = ignore };
	struct itimerval timer = { .it_value.tv_usec = 1, .it_interval.tv_usec = 500 };
	struct itimerval off = {};
	uint32_t before = mx_sysfs_number("chip/free_bytes");
	int err = 0, tries;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	for (tries = 0; tries < 50 && err != -EINTR; tries++) {
		struct mxaccel_model_program program;

		err = mx_program(self->fd, self->tm, &program);
		if (!err) {
			mx_model_close(self->fd, program.model);
			mx_model_delete(self->fd, program.model);
		}
	}
	setitimer(ITIMER_REAL, &off, NULL);
	EXPECT_EQ(-EINTR, err);
	EXPECT_EQ(0, count_models(self->fd));
	EXPECT_EQ(before, mx_sysfs_number("chip/free_bytes"));
	EXPECT_EQ(0, mx_program(self->fd, self->tm, NULL));
}

TEST_F(models, deletion_and_refresh_need_privilege)
{
	struct mxaccel_model_program program;
	int status;
	pid_t pid;

	ASSERT_EQ(0, mx_program(self->fd, self->tm, &program));
	ASSERT_EQ(0, mx_model_close(self->fd, program.model));
	pid = fork();
	if (!pid) {
		if (setresuid(65534, 65534, 65534))
			_exit(100);
		_exit(mx_model_delete(self->fd, program.model) != -EPERM ||
		      mx_model_refresh(self->fd, program.model) != -EPERM);
	}
	waitpid(pid, &status, 0);
	EXPECT_EQ(0, status);
	EXPECT_EQ(1, count_models(self->fd));
}

struct racer {
	int fd;
	struct testmodel *tm;
	int bad;
};

/* Programs, uses and deletes the same content as everybody else. */
static void *race(void *opaque)
{
	struct racer *racer = opaque;
	struct mxaccel_model_program program;
	int i, err;

	for (i = 0; i < 30; i++) {
		err = mx_program(racer->fd, racer->tm, &program);
		/* ENOENT: deleted between the answer "resident" and its use */
		if (err && err != -ENOENT)
			racer->bad = err;
		if (err)
			continue;
		if (mx_model_close(racer->fd, program.model))
			racer->bad = 1;
		err = mx_model_delete(racer->fd, program.model);
		if (err && err != -EBUSY && err != -ENOENT)
			racer->bad = err;
	}
	return NULL;
}

TEST_F_TIMEOUT(models, many_at_once, 120)
{
	struct racer racer[3];	/* as many as fit the tiny chip at once */
	pthread_t thread[3];
	int i;

	for (i = 0; i < 3; i++) {
		/* Two share a file. */
		racer[i] = (struct racer){ i < 2 ? self->fd : mx_open(), self->tm, 0 };
		ASSERT_LE(0, racer[i].fd);
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, race, &racer[i]));
	}
	for (i = 0; i < 3; i++) {
		pthread_join(thread[i], NULL);
		EXPECT_EQ(0, racer[i].bad);
	}
	close(racer[2].fd);
}

TEST_HARNESS_MAIN
