// SPDX-License-Identifier: GPL-2.0-only
/* Buffers: what may be pinned, what may be mapped, what is charged. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mxtest.h"

#define RW	(MXACCEL_BUF_READ | MXACCEL_BUF_WRITE)
#define ROW	(TM_WIDTH * sizeof(float))

FIXTURE(buffers)
{
	struct mx_rig rig;
	int fd;
	long page;
};

FIXTURE_SETUP(buffers)
{
	ASSERT_EQ(0, rig_open(&self->rig));
	self->fd = self->rig.fd;
	self->page = sysconf(_SC_PAGESIZE);
}

FIXTURE_TEARDOWN(buffers)
{
	EXPECT_EQ(0, rig_check(&self->rig));
	rig_close(&self->rig);
}

/* A job from one place to another; 0, -errno, or 1 for a wrong result. */
static int run(struct mx_rig *rig, uint32_t in, uint64_t in_offset, const int32_t *ids,
	       uint32_t out, uint64_t out_offset, const float *result)
{
	struct mxaccel_submit submit = rig_job(rig, ENTRY_ROWS, 1, 3);
	struct mxaccel_completion c;
	int err;

	submit.in_handle = in;
	submit.in_offset = in_offset;
	submit.out_handle = out;
	submit.out_offset = out_offset;
	err = mx_submit(rig->fd, &submit);
	if (err)
		return err;
	err = mx_wait(rig->fd, 20000, &c, 1);
	if (err < 0)
		return err;
	return c.error ? c.error : !rig_result_good(ids, result, 3);
}

TEST_F(buffers, ends_with_its_page)
{
	int32_t *ids = mx_edge_alloc(12, PROT_READ | PROT_WRITE);
	float *result = mx_edge_alloc(3 * ROW, PROT_READ | PROT_WRITE);
	uint32_t in, out;

	ASSERT_NE(NULL, ids);
	ASSERT_NE(NULL, result);
	memcpy(ids, (int32_t[]){ 3, 1, 31 }, 12);
	ASSERT_EQ(0, mx_buf_create(self->fd, MXACCEL_BUF_READ, ids, 12, &in));
	ASSERT_EQ(0, mx_buf_create(self->fd, MXACCEL_BUF_WRITE, result, 3 * ROW, &out));
	EXPECT_EQ(0, run(&self->rig, in, 0, ids, out, 0, result));
	/* A byte more reaches into nothing. */
	EXPECT_EQ(-EFAULT, mx_buf_create(self->fd, MXACCEL_BUF_READ, ids, 13, NULL));
	EXPECT_EQ(-EFAULT, mx_buf_create(self->fd, MXACCEL_BUF_WRITE, result, 3 * ROW + 4, NULL));
	EXPECT_EQ(-EFAULT, mx_buf_create(self->fd, MXACCEL_BUF_READ, ids + 3, 4, NULL));
}

TEST_F(buffers, odd_places_in_several_pages)
{
	uint8_t *mem = mmap(NULL, 16 * self->page, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int32_t *ids = (int32_t *)(mem + self->page - 4);
	float *result = (float *)(mem + 4 * self->page - 12 + 1000);
	uint32_t in, out;
	int i;

	ASSERT_NE(MAP_FAILED, mem);
	memset(mem, 0xa5, 16 * self->page);
	memcpy(ids, (int32_t[]){ 7, 8, 9 }, 12);
	ASSERT_EQ(0, mx_buf_create(self->fd, MXACCEL_BUF_READ, ids, 12, &in));
	ASSERT_EQ(0, mx_buf_create(self->fd, MXACCEL_BUF_WRITE, mem + 4 * self->page - 12,
				   8 * self->page, &out));
	EXPECT_EQ(0, run(&self->rig, in, 0, ids, out, 1000, result));
	/* Nothing around the result was touched. */
	for (i = 0; i < 64; i++) {
		EXPECT_EQ(0xa5, ((uint8_t *)result)[-1 - i]);
		EXPECT_EQ(0xa5, ((uint8_t *)result)[3 * ROW + i]);
	}
}

TEST_F(buffers, read_only_memory)
{
	uint8_t *mem = mmap(NULL, self->page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, mem);
	EXPECT_EQ(0, mx_buf_create(self->fd, MXACCEL_BUF_READ, mem, self->page, NULL));
	EXPECT_EQ(-EFAULT, mx_buf_create(self->fd, MXACCEL_BUF_WRITE, mem, self->page, NULL));
	EXPECT_EQ(-EFAULT, mx_buf_create(self->fd, RW, mem, self->page, NULL));
}

TEST_F(buffers, what_is_written_later_counts)
{
	int32_t *ids = mmap(NULL, self->page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);
	uint32_t in;
	pid_t pid;

	ASSERT_NE(MAP_FAILED, ids);
	/* Not touched yet: there is only the zero page. */
	ASSERT_EQ(0, mx_buf_create(self->fd, MXACCEL_BUF_READ, ids, self->page, &in));
	memcpy(ids, (int32_t[]){ 3, 2, 1 }, 12);
	EXPECT_EQ(0, run(&self->rig, in, 0, ids, self->rig.out_handle, 0, self->rig.out));
	EXPECT_EQ(0, mx_buf_free(self->fd, in));
	/* Shared with a child when it is pinned */
	pid = fork();
	if (!pid) {
		pause();
		_exit(0);
	}
	ASSERT_EQ(0, mx_buf_create(self->fd, MXACCEL_BUF_READ, ids, self->page, &in));
	memcpy(ids, (int32_t[]){ 9, 8, 7 }, 12);
	EXPECT_EQ(0, run(&self->rig, in, 0, ids, self->rig.out_handle, 0, self->rig.out));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

TEST_F(buffers, mappings_of_two_kinds)
{
	int file = memfd_create("ids", 0);
	uint8_t *mem = mmap(NULL, 3 * self->page, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int32_t *ids = (int32_t *)(mem + self->page - 4), *later;
	uint32_t in;

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(12, pwrite(file, (int32_t[]){ 5, 6, 7 }, 12, 0));
	ASSERT_EQ(0, ftruncate(file, self->page));
	ASSERT_EQ(mem + self->page, mmap(mem + self->page, self->page, PROT_READ,
					 MAP_SHARED | MAP_FIXED, file, 0));
	ASSERT_EQ(0, mx_buf_create(self->fd, MXACCEL_BUF_READ, mem, 3 * self->page, &in));
	ids[0] = 30;
	EXPECT_EQ(0, run(&self->rig, in, self->page - 4, ids, self->rig.out_handle, 0,
			 self->rig.out));
	later = (int32_t *)(mem + 2 * self->page);
	memcpy(later, (int32_t[]){ 11, 12, 13 }, 12);
	EXPECT_EQ(0, run(&self->rig, in, 2 * self->page, later, self->rig.out_handle, 0,
			 self->rig.out));
	close(file);
}

TEST_F(buffers, memory_of_a_file)
{
	int32_t ids[3] = { 4, 5, 6 };
	int file = memfd_create("ids", 0);
	uint32_t in;
	void *mem;

	ASSERT_LE(0, file);
	ASSERT_EQ(12, write(file, ids, 12));
	mem = mmap(NULL, self->page, PROT_READ, MAP_SHARED, file, 0);
	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, mx_buf_create(self->fd, MXACCEL_BUF_READ, mem, 12, &in));
	EXPECT_EQ(0, run(&self->rig, in, 0, ids, self->rig.out_handle, 0, self->rig.out));
	/* Beyond the end of the file there is nothing to pin. */
	mem = mmap(NULL, 2 * self->page, PROT_READ, MAP_SHARED, file, 0);
	EXPECT_EQ(-EFAULT, mx_buf_create(self->fd, MXACCEL_BUF_READ, mem, 2 * self->page, NULL));
	close(file);
}

TEST_F(buffers, access_is_what_was_asked_for)
{
	struct mx_rig *rig = &self->rig;

	EXPECT_EQ(-EACCES, run(rig, rig->out_handle, 0, rig->in, rig->out_handle, 0, rig->out));
	EXPECT_EQ(-EACCES, run(rig, rig->in_handle, 0, rig->in, rig->in_handle, 0, rig->out));
}

TEST_F(buffers, ranges_end_inside)
{
	struct mx_rig *rig = &self->rig;
	uint64_t in_end = rig->in_bytes - 12, out_end = rig->out_bytes - 3 * ROW;

	rig_job(rig, ENTRY_ROWS, 1, 3);
	memcpy(rig->in + in_end / 4, rig->in, 12);
	EXPECT_EQ(0, run(rig, rig->in_handle, in_end, rig->in, rig->out_handle, out_end,
			 rig->out + out_end / 4));
	EXPECT_EQ(-EFAULT, run(rig, rig->in_handle, in_end + 4, rig->in, rig->out_handle, 0,
			       rig->out));
	EXPECT_EQ(-EFAULT, run(rig, rig->in_handle, 0, rig->in, rig->out_handle, out_end + 4,
			       rig->out));
}

TEST_F(buffers, freed_handles_are_gone)
{
	uint32_t handle;

	ASSERT_EQ(0, mx_buf_create(self->fd, MXACCEL_BUF_READ, self->rig.in, 64, &handle));
	EXPECT_EQ(0, mx_buf_free(self->fd, handle));
	EXPECT_EQ(-ENOENT, mx_buf_free(self->fd, handle));
	EXPECT_EQ(-ENOENT, run(&self->rig, handle, 0, self->rig.in, self->rig.out_handle, 0,
			       self->rig.out));
	EXPECT_EQ(-ENOENT, mx_buf_free(self->fd, 0));
}

TEST_F(buffers, in_use_by_a_job)
{
	struct mxaccel_submit submit = rig_long_job(&self->rig);
	struct mxaccel_completion c;

	ASSERT_EQ(0, mx_submit(self->fd, &submit));
	EXPECT_EQ(-EBUSY, mx_buf_free(self->fd, self->rig.in_handle));
	EXPECT_EQ(-EBUSY, mx_buf_free(self->fd, self->rig.out_handle));
	EXPECT_EQ(0, mx_cancel(self->fd, submit.job));
	EXPECT_EQ(1, mx_wait(self->fd, 20000, &c, 1));
	/* Done is done: as soon as the completion is there, they are free. */
	EXPECT_EQ(0, mx_buf_free(self->fd, self->rig.in_handle));
	EXPECT_EQ(0, mx_buf_free(self->fd, self->rig.out_handle));
	ASSERT_EQ(0, mx_buf_create(self->fd, MXACCEL_BUF_READ, self->rig.in, self->rig.in_bytes,
				   &self->rig.in_handle));
	ASSERT_EQ(0, mx_buf_create(self->fd, MXACCEL_BUF_WRITE, self->rig.out,
				   self->rig.out_bytes, &self->rig.out_handle));
}

TEST_F(buffers, unmapped_while_a_job_writes)
{
	struct mxaccel_submit submit = rig_job(&self->rig, ENTRY_LONG, 2, TM_TOKENS);
	struct mxaccel_completion c;
	uint32_t out;
	void *mem;

	mem = mmap(NULL, submit.out_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		   -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, mx_buf_create(self->fd, MXACCEL_BUF_WRITE, mem, submit.out_bytes, &out));
	submit.out_handle = out;
	ASSERT_EQ(0, mx_submit(self->fd, &submit));
	ASSERT_EQ(0, munmap(mem, submit.out_bytes));
	EXPECT_EQ(1, mx_wait(self->fd, 25000, &c, 1));
	EXPECT_EQ(0, c.error);
	EXPECT_EQ(0, mx_buf_free(self->fd, out));
}

TEST_F(buffers, as_many_as_the_chip_has)
{
	long long room = mx_sysfs_number("chip/max_buffers");
	uint32_t *handles;
	long long i;

	ASSERT_LT(2, room);
	handles = calloc(room, sizeof(*handles));
	for (i = 2; i < room; i++)
		ASSERT_EQ(0, mx_buf_create(self->fd, MXACCEL_BUF_READ, self->rig.in, 64,
					   &handles[i]));
	EXPECT_EQ(-ENOSPC, mx_buf_create(self->fd, MXACCEL_BUF_READ, self->rig.in, 64, NULL));
	EXPECT_EQ(0, mx_buf_free(self->fd, handles[2]));
	EXPECT_EQ(0, mx_buf_create(self->fd, MXACCEL_BUF_READ, self->rig.in, 64, NULL));
	free(handles);
}

/* An IOMMU makes one piece of many pages. */
static bool iommu_translates(void)
{
	char path[4200], type[32];

	snprintf(path, sizeof(path), "%s/iommu_group/type", mx_sysfs("device"));
	return mx_read_file(path, type, sizeof(type)) > 0 && !strncmp(type, "DMA", 3);
}

TEST_F(buffers, too_many_pieces)
{
	long long max_sg = mx_sysfs_number("chip/max_sg"), pages = 2 * max_sg + 4, i;
	uint8_t *mem = mmap(NULL, pages * self->page, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int file = memfd_create("page", 0);
	uint32_t handle;

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, ftruncate(file, self->page));
	/* Every second page is the same one, so that no two are neighbours. */
	for (i = 0; i < pages; i += 2)
		ASSERT_NE(MAP_FAILED, mmap(mem + i * self->page, self->page, PROT_READ,
					   MAP_SHARED | MAP_FIXED, file, 0));
	EXPECT_EQ(iommu_translates() ? 0 : -EFBIG,
		  mx_buf_create(self->fd, MXACCEL_BUF_READ, mem, pages * self->page, NULL));
	EXPECT_EQ(0, mx_buf_create(self->fd, MXACCEL_BUF_READ, mem, (max_sg - 1) * self->page,
				   &handle));
	EXPECT_EQ(0, mx_buf_free(self->fd, handle));
}

static int create_mapped(int fd, uint64_t bytes, struct mxaccel_buf_create *create)
{
	*create = (struct mxaccel_buf_create){
		.size = sizeof(*create), .flags = RW, .bytes = bytes,
	};
	return mx_ioctl(fd, MXACCEL_IOC_BUF_CREATE, create);
}

TEST_F(buffers, allocated_by_the_driver)
{
	size_t bytes = 3 * self->page + 100;
	struct mxaccel_buf_create create;
	uint8_t *mem;
	size_t i;

	ASSERT_EQ(0, create_mapped(self->fd, bytes, &create));
	mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, create.mmap_offset);
	ASSERT_NE(MAP_FAILED, mem);
	for (i = 0; i < bytes; i++)
		ASSERT_EQ(0, mem[i]);
	memcpy(mem + 4, (int32_t[]){ 10, 20, 30 }, 12);
	EXPECT_EQ(0, run(&self->rig, create.handle, 4, (int32_t *)(mem + 4), create.handle, 64,
			 (float *)(mem + 64)));
	EXPECT_EQ(0, mx_buf_free(self->fd, create.handle));
	/* The mapping keeps the memory. */
	EXPECT_EQ(20, ((int32_t *)(mem + 4))[1]);
	mem[0] = 1;
	EXPECT_EQ(0, munmap(mem, bytes));
}

TEST_F(buffers, large_one_allocated_by_the_driver)
{
	struct mxaccel_buf_create create;
	size_t bytes = 3 << 20;
	uint8_t *mem;

	ASSERT_EQ(0, create_mapped(self->fd, bytes, &create));
	mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, create.mmap_offset);
	ASSERT_NE(MAP_FAILED, mem);
	memcpy(mem + bytes - 12, (int32_t[]){ 1, 2, 3 }, 12);
	EXPECT_EQ(0, run(&self->rig, create.handle, bytes - 12, (int32_t *)(mem + bytes - 12),
			 create.handle, (1 << 20) - 16, (float *)(mem + (1 << 20) - 16)));
}

TEST_F(buffers, mmap_limits)
{
	int fd = self->fd, rw = PROT_READ | PROT_WRITE;
	struct mxaccel_buf_create create, other;
	long page = self->page;

	ASSERT_EQ(0, create_mapped(fd, 2 * page, &create));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 3 * page, rw, MAP_SHARED, fd, create.mmap_offset));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, page, rw, MAP_SHARED, fd, create.mmap_offset + page));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, page, rw, MAP_PRIVATE, fd, create.mmap_offset));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, page, rw, MAP_SHARED, fd, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, page, rw, MAP_SHARED, fd, 1ULL << 46));
	EXPECT_EQ(EINVAL, errno);
	/* Pinned memory is the process's already. */
	EXPECT_EQ(MAP_FAILED, mmap(NULL, page, rw, MAP_SHARED, fd,
				   (uint64_t)self->rig.in_handle << 32));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_NE(MAP_FAILED, mmap(NULL, page, rw, MAP_SHARED, fd, create.mmap_offset));
	/* Another file does not see it. */
	other = create;
	fd = mx_open();
	ASSERT_LE(0, fd);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, page, rw, MAP_SHARED, fd, other.mmap_offset));
	close(fd);
}

TEST_F(buffers, mapping_outlives_the_file)
{
	struct mxaccel_buf_create create;
	int fd = mx_open();
	uint8_t *mem;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, create_mapped(fd, self->page, &create));
	mem = mmap(NULL, self->page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, create.mmap_offset);
	ASSERT_NE(MAP_FAILED, mem);
	mem[5] = 77;
	close(fd);
	EXPECT_EQ(77, mem[5]);
	if (!fork()) {
		mem[5] = 78;
		_exit(0);
	}
	wait(NULL);
	EXPECT_EQ(78, mem[5]);
	munmap(mem, self->page);
}

/* In a child without privileges; its status counts what went wrong. */
static int memlock_child(int fd, long page)
{
	struct rlimit limit = { 8 * page, 8 * page };
	void *mem = mmap(NULL, 16 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	struct mxaccel_buf_create create;
	uint32_t a, b;
	int bad = 0;

	if (mem == MAP_FAILED || setrlimit(RLIMIT_MEMLOCK, &limit) ||
	    setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		return 100;
	bad += mx_buf_create(fd, MXACCEL_BUF_READ, mem, 9 * page, NULL) != -ENOMEM;
	bad += create_mapped(fd, 9 * page, &create) != -ENOMEM;
	bad += mx_buf_create(fd, MXACCEL_BUF_READ, mem, 5 * page, &a) != 0;
	bad += mx_buf_create(fd, MXACCEL_BUF_READ, mem, 4 * page, NULL) != -ENOMEM;
	bad += create_mapped(fd, 3 * page, &create) != 0;
	bad += mx_buf_create(fd, MXACCEL_BUF_READ, mem, 1, NULL) != -ENOMEM;
	/* What is given back can be had again; failed attempts cost nothing. */
	bad += mx_buf_free(fd, a) != 0;
	bad += mx_buf_create(fd, MXACCEL_BUF_READ, (void *)64, 4 * page, NULL) != -EFAULT;
	bad += mx_buf_create(fd, MXACCEL_BUF_READ, mem, 5 * page, &b) != 0;
	close(fd);
	return bad;
}

TEST_F(buffers, pinned_pages_are_charged)
{
	int fd = mx_open(), status;
	pid_t pid;

	ASSERT_LE(0, fd);
	pid = fork();
	if (!pid)
		_exit(memlock_child(fd, self->page));
	close(fd);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_HARNESS_MAIN
