// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest.h"
#include "mxtest.h"

#define APPEAR_MS	5000	/* for udev or devtmpfs to make a node */

const char *mx_device(void)
{
	static char path[64];
	const char *given = getenv("MX_DEVICE");

	if (path[0])
		return path;
	snprintf(path, sizeof(path), "%s", given ? given : "/dev/mxaccel0");
	if (access(path, F_OK))
		ksft_exit_skip("no %s: load mxaccel.ko, or set MX_DEVICE\n", path);
	return path;
}

const char *mx_sysfs(const char *name)
{
	static char path[PATH_MAX];
	const char *node = strrchr(mx_device(), '/') + 1;

	snprintf(path, sizeof(path), "/sys/class/mxaccel/%s%s%s", node, name ? "/" : "",
		 name ? name : "");
	return path;
}

int mx_read_file(const char *path, char *text, size_t room)
{
	int fd = open(path, O_RDONLY);
	ssize_t got;

	if (fd < 0)
		return -errno;
	got = read(fd, text, room - 1);
	if (got < 0)
		got = -errno;
	close(fd);
	if (got < 0)
		return got;
	text[got] = 0;
	if (got && text[got - 1] == '\n')
		text[--got] = 0;
	return got;
}

int mx_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		err = -errno;
	close(fd);
	return err;
}

long long mx_sysfs_number(const char *name)
{
	char text[64];
	int err = mx_read_file(mx_sysfs(name), text, sizeof(text));

	return err < 0 ? err : atoll(text);
}

int mx_open(void)
{
	int waited, fd;

	for (waited = 0; ; waited += 10) {
		fd = open(mx_device(), O_RDWR | O_CLOEXEC);
		if (fd >= 0)
			return fd;
		if ((errno != ENOENT && errno != ENXIO) || waited >= APPEAR_MS)
			return -errno;
		usleep(10000);
	}
}

int mx_ioctl(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) ? -errno : 0;
}

static int program(int fd, const struct testmodel *tm, const uint8_t *chunks,
		   struct mxaccel_model_program *out)
{
	struct mxaccel_model_program program = {
		.size = sizeof(program),
		.model_addr = (uintptr_t)&tm->model,
		.model_bytes = sizeof(tm->model),
		.params_addr = (uintptr_t)tm->params,
		.params_bytes = tm->params_bytes,
		.chunks_addr = (uintptr_t)chunks,
	};
	int err;

	memcpy(program.content, tm->content, sizeof(program.content));
	err = mx_ioctl(fd, MXACCEL_IOC_MODEL_PROGRAM, &program);
	if (out)
		*out = program;
	return err;
}

int mx_program(int fd, const struct testmodel *tm, struct mxaccel_model_program *out)
{
	return program(fd, tm, NULL, out);
}

int mx_program_shared(int fd, const struct testmodel *tm, struct mxaccel_model_program *out)
{
	return program(fd, tm, tm->chunks, out);
}

int mx_model_open(int fd, const struct testmodel *tm, uint32_t *model)
{
	struct mxaccel_model_open open = { .size = sizeof(open) };
	int err;

	memcpy(open.content, tm->content, sizeof(open.content));
	err = mx_ioctl(fd, MXACCEL_IOC_MODEL_OPEN, &open);
	*model = open.model;
	return err;
}

int mx_model_close(int fd, uint32_t model)
{
	struct mxaccel_model_close close = { .size = sizeof(close), .model = model };

	return mx_ioctl(fd, MXACCEL_IOC_MODEL_CLOSE, &close);
}

int mx_model_delete(int fd, uint32_t model)
{
	struct mxaccel_model_delete delete = { .size = sizeof(delete), .model = model };

	return mx_ioctl(fd, MXACCEL_IOC_MODEL_DELETE, &delete);
}

int mx_model_refresh(int fd, uint32_t model)
{
	struct mxaccel_model_refresh refresh = { .size = sizeof(refresh), .model = model };

	return mx_ioctl(fd, MXACCEL_IOC_MODEL_REFRESH, &refresh);
}

int mx_buf_create(int fd, uint32_t access, void *addr, uint64_t bytes, uint32_t *handle)
{
	struct mxaccel_buf_create create = {
		.size = sizeof(create), .flags = access, .addr = (uintptr_t)addr, .bytes = bytes,
	};
	int err = mx_ioctl(fd, MXACCEL_IOC_BUF_CREATE, &create);

	if (handle)
		*handle = create.handle;
	return err;
}

int mx_buf_free(int fd, uint32_t handle)
{
	struct mxaccel_buf_free request = { .size = sizeof(request), .handle = handle };

	return mx_ioctl(fd, MXACCEL_IOC_BUF_FREE, &request);
}

int mx_submit(int fd, struct mxaccel_submit *submit)
{
	return mx_ioctl(fd, MXACCEL_IOC_SUBMIT, submit);
}

/* Return: completions reaped, or -errno. */
int mx_wait(int fd, uint32_t timeout_ms, struct mxaccel_completion *c, uint32_t room)
{
	struct mxaccel_wait wait = {
		.size = sizeof(wait), .timeout_ms = timeout_ms, .completions = (uintptr_t)c,
		.count = room,
	};
	int err = mx_ioctl(fd, MXACCEL_IOC_WAIT, &wait);

	return err ? err : (int)wait.count;
}

int mx_cancel(int fd, uint64_t job)
{
	struct mxaccel_cancel cancel = { .size = sizeof(cancel), .job = job };

	return mx_ioctl(fd, MXACCEL_IOC_CANCEL, &cancel);
}

static void *map(size_t bytes)
{
	void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

int rig_open(struct mx_rig *rig)
{
	struct mxaccel_model_program program;
	int err;

	memset(rig, 0, sizeof(*rig));
	rig->in_bytes = RIG_SEQ * TM_TOKENS * sizeof(*rig->in);
	rig->out_bytes = RIG_SEQ * TM_WIDTH * sizeof(*rig->out);
	rig->tm = tm_make(0, 0);
	rig->in = map(rig->in_bytes);
	rig->out = map(rig->out_bytes);
	rig->fd = mx_open();
	if (!rig->in || !rig->out)
		return -ENOMEM;
	if (rig->fd < 0)
		return rig->fd;
	err = mx_program(rig->fd, rig->tm, &program);
	rig->model = program.model;
	if (!err)
		err = mx_buf_create(rig->fd, MXACCEL_BUF_READ, rig->in, rig->in_bytes,
				    &rig->in_handle);
	if (!err)
		err = mx_buf_create(rig->fd, MXACCEL_BUF_WRITE, rig->out, rig->out_bytes,
				    &rig->out_handle);
	return err;
}

void rig_close(struct mx_rig *rig)
{
	if (rig->fd >= 0)
		close(rig->fd);
	if (rig->in)
		munmap(rig->in, rig->in_bytes);
	if (rig->out)
		munmap(rig->out, rig->out_bytes);
	tm_free(rig->tm);
}

struct mxaccel_submit rig_job(struct mx_rig *rig, uint32_t entry, uint32_t nr_seq, uint32_t tokens)
{
	struct mxaccel_submit submit = {
		.size = sizeof(submit), .model = rig->model, .entry = entry, .nr_seq = nr_seq,
		.tokens = tokens, .in_handle = rig->in_handle, .out_handle = rig->out_handle,
		.in_bytes = nr_seq * tokens * sizeof(*rig->in),
		.out_bytes = nr_seq * TM_WIDTH * sizeof(*rig->out),
	};
	uint32_t i;

	if (entry == ENTRY_ROWS)
		submit.out_bytes *= tokens;
	for (i = 0; i < nr_seq * tokens; i++)
		rig->in[i] = 1 + i % (TM_VOCAB - 1);
	return submit;
}

struct mxaccel_submit rig_long_job(struct mx_rig *rig)
{
	return rig_job(rig, ENTRY_LONG, RIG_SEQ, TM_TOKENS);
}

bool rig_result_good(const int32_t *ids, const float *out, uint32_t nr)
{
	uint32_t i, column;

	for (i = 0; i < nr; i++) {
		for (column = 0; column < TM_WIDTH; column++) {
			float want = tm_expect(ids[i], column), got = out[i * TM_WIDTH + column];

			if (fabsf(got - want) <= 0.0127f)
				continue;
			ksft_print_msg("row %u (id %d), column %u: %g, not %g\n", i, ids[i], column,
				       got, want);
			return false;
		}
	}
	return true;
}

int rig_check(struct mx_rig *rig)
{
	struct mxaccel_submit submit = rig_job(rig, ENTRY_ROWS, 2, 5);
	struct mxaccel_completion c;
	int err;

	memset(rig->out, 0xff, submit.out_bytes);
	err = mx_submit(rig->fd, &submit);
	if (err)
		return err;
	err = mx_wait(rig->fd, 20000, &c, 1);
	if (err < 0)
		return err;
	if (c.error || c.job != submit.job)
		return c.error ? c.error : 1;
	return !rig_result_good(rig->in, rig->out, 10);
}

void *mx_edge_alloc(size_t bytes, int prot)
{
	size_t page = sysconf(_SC_PAGESIZE), room = (bytes + page - 1) / page * page;
	uint8_t *mem = map(room + page);

	if (!mem || mprotect(mem, room, prot) || mprotect(mem + room, page, PROT_NONE))
		return NULL;
	return mem + room - bytes;
}
