// SPDX-License-Identifier: GPL-2.0-only
/*
 * The form of every ioctl: its size, its reserved fields and flags, its
 * pointer. What the calls do is the matter of the other programs.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mxtest.h"

/* A field of a struct, a value that it must not have, and what that gives */
struct broken {
	const char *name;
	unsigned int offset, bytes;
	uint64_t value;
	int error;
};

#define BROKEN(type, field, bad, errno_) \
	{ #field, offsetof(struct type, field), sizeof(((struct type *)0)->field), bad, errno_ }

#define MAX_BROKEN	16

FIXTURE(ioctl)
{
	struct mx_rig rig;
	struct mxaccel_identify page;
	struct mxaccel_model_info infos[4];
	struct mxaccel_completion completions[4];
	uint64_t values[64];
	uint8_t arg[8192];
};

FIXTURE_VARIANT(ioctl)
{
	unsigned long cmd;
	unsigned int size;
	unsigned int first_size;	/* of the struct's first version, if it has grown */
	int result;		/* of a call that is right in form */
	bool out;		/* it writes the struct */
	struct broken broken[MAX_BROKEN];
};

#define IOCTL(name_, type, result_, out_, ...) \
	FIXTURE_VARIANT_ADD(ioctl, name_) { \
		.cmd = MXACCEL_IOC_##name_, .size = sizeof(struct type), .result = result_, \
		.out = out_, .broken = { __VA_ARGS__ } }
/* One whose struct has grown: @member_ was the first that was added. */
#define IOCTL_GROWN(name_, type, member_, result_, out_, ...) \
	FIXTURE_VARIANT_ADD(ioctl, name_) { \
		.cmd = MXACCEL_IOC_##name_, .size = sizeof(struct type), \
		.first_size = offsetof(struct type, member_), .result = result_, \
		.out = out_, .broken = { __VA_ARGS__ } }

IOCTL_GROWN(QUERY, mxaccel_query, health, 0, true,
	BROKEN(mxaccel_query, identify, 8, -EFAULT),
	BROKEN(mxaccel_query, health, 8, -EFAULT));
IOCTL_GROWN(MODEL_PROGRAM, mxaccel_model_program, chunks_addr, 0, true,
	BROKEN(mxaccel_model_program, flags, 1, -EINVAL),
	BROKEN(mxaccel_model_program, flags, 0x80000000, -EINVAL),
	BROKEN(mxaccel_model_program, rsvd, 1, -EINVAL),
	BROKEN(mxaccel_model_program, rsvd2, 1, -EINVAL),
	BROKEN(mxaccel_model_program, model_bytes, 0, -EINVAL),
	BROKEN(mxaccel_model_program, model_bytes, UINT64_MAX, -EFBIG),
	BROKEN(mxaccel_model_program, params_bytes, UINT64_MAX, -EFBIG));
IOCTL(MODEL_OPEN, mxaccel_model_open, 0, true,
	BROKEN(mxaccel_model_open, flags, 1, -EINVAL),
	BROKEN(mxaccel_model_open, rsvd, 1, -EINVAL),
	BROKEN(mxaccel_model_open, content[31], 0x5a, -ENOENT));
IOCTL(MODEL_CLOSE, mxaccel_model_close, -ENOENT, false,
	BROKEN(mxaccel_model_close, model, UINT32_MAX, -ENOENT));
IOCTL_GROWN(MODEL_DELETE, mxaccel_model_delete, holder_pid, -EBUSY, true,
	BROKEN(mxaccel_model_delete, model, UINT32_MAX, -ENOENT));
IOCTL(MODEL_LIST, mxaccel_model_list, 0, true,
	BROKEN(mxaccel_model_list, infos, 8, -EFAULT));
IOCTL(BUF_CREATE, mxaccel_buf_create, 0, true,
	BROKEN(mxaccel_buf_create, flags, 0, -EINVAL),
	BROKEN(mxaccel_buf_create, flags, 4, -EINVAL),
	BROKEN(mxaccel_buf_create, flags, 0x80000001, -EINVAL),
	BROKEN(mxaccel_buf_create, addr, 1, -EINVAL),
	BROKEN(mxaccel_buf_create, addr, 2, -EINVAL),
	BROKEN(mxaccel_buf_create, addr, 8, -EFAULT),
	BROKEN(mxaccel_buf_create, addr, 0xffffffffffffff00, -EFAULT),
	BROKEN(mxaccel_buf_create, bytes, 0, -EINVAL),
	BROKEN(mxaccel_buf_create, bytes, 1ULL << 40, -EFBIG),
	BROKEN(mxaccel_buf_create, bytes, UINT64_MAX, -EFAULT),
	BROKEN(mxaccel_buf_create, rsvd, 1, -EINVAL));
IOCTL(BUF_FREE, mxaccel_buf_free, -ENOENT, false,
	BROKEN(mxaccel_buf_free, handle, UINT32_MAX, -ENOENT));
IOCTL(SUBMIT, mxaccel_submit, 0, true,
	BROKEN(mxaccel_submit, flags, 2, -EINVAL),
	BROKEN(mxaccel_submit, flags, 0x80000001, -EINVAL),
	BROKEN(mxaccel_submit, rsvd, 1, -EINVAL),
	BROKEN(mxaccel_submit, model, UINT32_MAX, -ENOENT),
	BROKEN(mxaccel_submit, entry, 0x10000, -ENOENT),
	BROKEN(mxaccel_submit, nr_seq, 0, -EINVAL),
	BROKEN(mxaccel_submit, nr_seq, UINT32_MAX, -EINVAL),
	BROKEN(mxaccel_submit, tokens, 0, -EINVAL),
	BROKEN(mxaccel_submit, tokens, 0x40000001, -EINVAL),
	BROKEN(mxaccel_submit, in_handle, 9999, -ENOENT),
	BROKEN(mxaccel_submit, out_handle, 9999, -ENOENT),
	BROKEN(mxaccel_submit, in_offset, 1ULL << 40, -EFAULT),
	BROKEN(mxaccel_submit, in_offset, UINT64_MAX - 3, -EFAULT),
	BROKEN(mxaccel_submit, out_offset, UINT64_MAX - 3, -EFAULT),
	BROKEN(mxaccel_submit, in_bytes, 44, -EINVAL),
	BROKEN(mxaccel_submit, out_bytes, UINT32_MAX, -EFAULT));
IOCTL(WAIT, mxaccel_wait, -ENODATA, true,
	BROKEN(mxaccel_wait, count, 0, -EINVAL),
	BROKEN(mxaccel_wait, rsvd, 1, -EINVAL));
IOCTL(CANCEL, mxaccel_cancel, -ENOENT, false,
	BROKEN(mxaccel_cancel, flags, 2, -EINVAL),
	BROKEN(mxaccel_cancel, job, UINT64_MAX, -ENOENT));
IOCTL(COUNTERS, mxaccel_counters, 0, true,
	BROKEN(mxaccel_counters, scope, 3, -EINVAL),
	BROKEN(mxaccel_counters, model, 1, -EINVAL),
	BROKEN(mxaccel_counters, values, 8, -EFAULT));
IOCTL(MODEL_REFRESH, mxaccel_model_refresh, 0, false,
	BROKEN(mxaccel_model_refresh, model, UINT32_MAX, -ENOENT));

/* An argument with which the call gives variant->result */
static void make_good(FIXTURE_DATA(ioctl) *self, unsigned long cmd)
{
	union {
		struct mxaccel_query query;
		struct mxaccel_model_program program;
		struct mxaccel_model_open open;
		struct mxaccel_model_close close;
		struct mxaccel_model_delete delete;
		struct mxaccel_model_refresh refresh;
		struct mxaccel_model_list list;
		struct mxaccel_buf_create create;
		struct mxaccel_submit submit;
		struct mxaccel_wait wait;
		struct mxaccel_counters counters;
	} *arg = (void *)self->arg;
	struct testmodel *tm = self->rig.tm;

	memset(self->arg, 0, sizeof(self->arg));
	switch (cmd) {
	case MXACCEL_IOC_QUERY:
		arg->query.identify = (uintptr_t)&self->page;
		break;
	case MXACCEL_IOC_MODEL_PROGRAM:
		memcpy(arg->program.content, tm->content, 32);
		arg->program.model_addr = (uintptr_t)&tm->model;
		arg->program.model_bytes = sizeof(tm->model);
		arg->program.params_addr = (uintptr_t)tm->params;
		arg->program.params_bytes = tm->params_bytes;
		break;
	case MXACCEL_IOC_MODEL_OPEN:
		memcpy(arg->open.content, tm->content, 32);
		break;
	case MXACCEL_IOC_MODEL_CLOSE:
		arg->close.model = self->rig.model + 1;
		break;
	case MXACCEL_IOC_MODEL_DELETE:
		arg->delete.model = self->rig.model;
		break;
	case MXACCEL_IOC_MODEL_LIST:
		arg->list.infos = (uintptr_t)self->infos;
		arg->list.count = 4;
		break;
	case MXACCEL_IOC_BUF_CREATE:
		arg->create.flags = MXACCEL_BUF_READ;
		arg->create.addr = (uintptr_t)self->rig.in;
		arg->create.bytes = 4096;
		break;
	case MXACCEL_IOC_SUBMIT:
		arg->submit = rig_job(&self->rig, ENTRY_ROWS, 2, 5);
		break;
	case MXACCEL_IOC_WAIT:
		arg->wait.completions = (uintptr_t)self->completions;
		arg->wait.count = 4;
		break;
	case MXACCEL_IOC_COUNTERS:
		arg->counters.values = (uintptr_t)self->values;
		arg->counters.count = 64;
		break;
	}
	arg->query.size = 0;
}

static void set_size(void *arg, uint32_t size)
{
	memcpy(arg, &size, sizeof(size));
}

FIXTURE_SETUP(ioctl)
{
	ASSERT_EQ(0, rig_open(&self->rig));
	make_good(self, variant->cmd);
	set_size(self->arg, variant->size);
}

FIXTURE_TEARDOWN(ioctl)
{
	/* After all that, the device works. */
	while (mx_wait(self->rig.fd, 20000, self->completions, 4) > 0)
		;
	EXPECT_EQ(0, rig_check(&self->rig));
	rig_close(&self->rig);
}

TEST_F(ioctl, right)
{
	EXPECT_EQ(variant->result, mx_ioctl(self->rig.fd, variant->cmd, self->arg));
}

TEST_F(ioctl, size_too_short)
{
	unsigned int size;

	for (size = 0; size < (variant->first_size ?: variant->size); size++) {
		set_size(self->arg, size);
		EXPECT_EQ(-EINVAL, mx_ioctl(self->rig.fd, variant->cmd, self->arg));
	}
}

TEST_F(ioctl, size_of_the_first_version)
{
	if (!variant->first_size)
		return;
	set_size(self->arg, variant->first_size);
	memset(self->arg + variant->first_size, 0xee, 8);
	EXPECT_EQ(variant->result, mx_ioctl(self->rig.fd, variant->cmd, self->arg));
	EXPECT_EQ(0xee, self->arg[variant->first_size]);
}

TEST_F(ioctl, size_longer_with_zeros)
{
	set_size(self->arg, variant->size + 8);
	EXPECT_EQ(variant->result, mx_ioctl(self->rig.fd, variant->cmd, self->arg));
	EXPECT_EQ(0, self->arg[variant->size]);
}

TEST_F(ioctl, size_longer_with_data)
{
	set_size(self->arg, variant->size + 8);
	self->arg[variant->size + 7] = 1;
	EXPECT_EQ(-E2BIG, mx_ioctl(self->rig.fd, variant->cmd, self->arg));
}

TEST_F(ioctl, size_absurd)
{
	set_size(self->arg, 4097);
	EXPECT_EQ(-E2BIG, mx_ioctl(self->rig.fd, variant->cmd, self->arg));
	set_size(self->arg, UINT32_MAX);
	EXPECT_EQ(-E2BIG, mx_ioctl(self->rig.fd, variant->cmd, self->arg));
}

TEST_F(ioctl, bad_pointer)
{
	EXPECT_EQ(-EFAULT, mx_ioctl(self->rig.fd, variant->cmd, NULL));
	EXPECT_EQ(-EFAULT, mx_ioctl(self->rig.fd, variant->cmd, (void *)-4096L));
}

TEST_F(ioctl, end_of_page)
{
	void *edge = mx_edge_alloc(variant->size, PROT_READ | PROT_WRITE);

	ASSERT_NE(NULL, edge);
	memcpy(edge, self->arg, variant->size);
	EXPECT_EQ(variant->result, mx_ioctl(self->rig.fd, variant->cmd, edge));
	/* One byte over the edge, and all but the first four bytes over it */
	EXPECT_EQ(-EFAULT, mx_ioctl(self->rig.fd, variant->cmd,
				    memmove((char *)edge + 1, self->arg, variant->size - 1)));
	memcpy((char *)edge + variant->size - 4, self->arg, 4);
	EXPECT_EQ(-EFAULT, mx_ioctl(self->rig.fd, variant->cmd,
				    (char *)edge + variant->size - 4));
}

TEST_F(ioctl, read_only_argument)
{
	long page = sysconf(_SC_PAGESIZE);
	void *edge = mx_edge_alloc(variant->size, PROT_READ | PROT_WRITE);
	struct mxaccel_completion c;

	ASSERT_NE(NULL, edge);
	memcpy(edge, self->arg, variant->size);
	ASSERT_EQ(0, mprotect((void *)((uintptr_t)edge & -page), page, PROT_READ));
	EXPECT_EQ(variant->out ? -EFAULT : variant->result,
		  mx_ioctl(self->rig.fd, variant->cmd, edge));
	/* A submission whose id cannot be told is none. */
	EXPECT_EQ(-ENODATA, mx_wait(self->rig.fd, 0, &c, 1));
}

TEST_F(ioctl, one_broken_field)
{
	const struct broken *b;
	int got;

	for (b = variant->broken; b->name; b++) {
		make_good(self, variant->cmd);
		set_size(self->arg, variant->size);
		memcpy(self->arg + b->offset, &b->value, b->bytes);
		got = mx_ioctl(self->rig.fd, variant->cmd, self->arg);
		EXPECT_EQ(b->error, got) {
			TH_LOG("field %s = %#llx", b->name, (unsigned long long)b->value);
		}
	}
}

TEST(unknown_ioctls)
{
	struct mxaccel_query query = { .size = sizeof(query) };
	int fd = mx_open();

	ASSERT_LE(0, fd);
	EXPECT_EQ(-ENOTTY, mx_ioctl(fd, MXACCEL_IOC_QUERY + 0x0d, &query));
	EXPECT_EQ(-ENOTTY, mx_ioctl(fd, MXACCEL_IOC_QUERY + 0xff, &query));
	EXPECT_EQ(-ENOTTY, mx_ioctl(fd, _IOWR(0xB9, 0, struct mxaccel_query), &query));
	EXPECT_EQ(-ENOTTY, mx_ioctl(fd, _IOR(MXACCEL_IOC_TYPE, 0, struct mxaccel_query), &query));
	EXPECT_EQ(-ENOTTY, mx_ioctl(fd, _IO(MXACCEL_IOC_TYPE, 0), &query));
	EXPECT_EQ(0, mx_ioctl(fd, MXACCEL_IOC_QUERY, &query));
	close(fd);
}

TEST(query_tells_the_truth)
{
	struct mxaccel_identify page;
	struct mxaccel_health health;
	struct mxaccel_query query = { .size = sizeof(query), .identify = (uintptr_t)&page };
	int fd = mx_open();

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, mx_ioctl(fd, MXACCEL_IOC_QUERY, &query));
	EXPECT_EQ(MXACCEL_VERSION_MAJOR, query.hw_version >> 16);
	EXPECT_LT(0, query.queue_depth);
	EXPECT_EQ(MXACCEL_PLATFORM_QEMU, query.platform);
	EXPECT_EQ(mx_sysfs_number("chip/capacity_bytes"), page.value[MXACCEL_CHIP_CAPACITY_BYTES]);
	EXPECT_EQ(mx_sysfs_number("chip/serial"), page.serial);
	EXPECT_TRUE(query.features & MXACCEL_DRVFEAT_REUSE);
	EXPECT_TRUE(query.features & MXACCEL_DRVFEAT_HEALTH);
	EXPECT_TRUE(query.features & MXACCEL_DRVFEAT_SCHEDULE);
	EXPECT_TRUE(query.features & MXACCEL_DRVFEAT_REFRESH);
	query.health = (uintptr_t)&health;
	ASSERT_EQ(0, mx_ioctl(fd, MXACCEL_IOC_QUERY, &query));
	EXPECT_EQ(MXACCEL_HEALTH_NR, health.nr_values);
	EXPECT_EQ(mx_sysfs_number("health/chunks"), health.value[MXACCEL_HEALTH_CHUNKS]);
	EXPECT_EQ(mx_sysfs_number("health/wear_total"), health.value[MXACCEL_HEALTH_WEAR_TOTAL]);
	close(fd);
}

TEST_HARNESS_MAIN
