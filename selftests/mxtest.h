/* SPDX-License-Identifier: GPL-2.0-only */
/* What the test programs share: the device, its calls, memory with an edge. */
#ifndef MXTEST_H
#define MXTEST_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>

#include "mxaccel.h"
#include "testmodel.h"

/* In an emulated machine that shares its processors, 30 seconds are not much. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	300

/* The device under test: $MX_DEVICE or the first; ends the program with KSFT_SKIP without one. */
const char *mx_device(void);
/* Its folder in sysfs; of the PCI function with "device" as @name. NULL @name: the folder. */
const char *mx_sysfs(const char *name);
/* Reads a sysfs file of the device as a number, or -errno. */
long long mx_sysfs_number(const char *name);
/* Reads a file into @text, without the newline. Return: length or -errno. */
int mx_read_file(const char *path, char *text, size_t room);
int mx_write_file(const char *path, const char *text);

/* open() of the device; -errno. Waits for the node to (re)appear. */
int mx_open(void);

/* Calls; all return 0 or -errno. */
int mx_ioctl(int fd, unsigned long cmd, void *arg);
int mx_program(int fd, const struct testmodel *tm, struct mxaccel_model_program *out);
/* The same, but chunks that are resident are taken over. */
int mx_program_shared(int fd, const struct testmodel *tm, struct mxaccel_model_program *out);
int mx_model_open(int fd, const struct testmodel *tm, uint32_t *model);
int mx_model_close(int fd, uint32_t model);
int mx_model_delete(int fd, uint32_t model);
int mx_model_refresh(int fd, uint32_t model);
int mx_buf_create(int fd, uint32_t access, void *addr, uint64_t bytes, uint32_t *handle);
int mx_buf_free(int fd, uint32_t handle);
int mx_submit(int fd, struct mxaccel_submit *submit);
int mx_wait(int fd, uint32_t timeout_ms, struct mxaccel_completion *c, uint32_t room);
int mx_cancel(int fd, uint64_t job);

/**
 * struct mx_rig - an open device with the test model and buffers of its own
 * @fd:		file
 * @tm:		the model
 * @model:	its id
 * @in:		@in_bytes of ids, buffer @in_handle
 * @out:	@out_bytes of results, buffer @out_handle
 */
struct mx_rig {
	int fd;
	struct testmodel *tm;
	uint32_t model;
	int32_t *in;
	float *out;
	size_t in_bytes, out_bytes;
	uint32_t in_handle, out_handle;
};

#define RIG_SEQ		200	/* most sequences of a rig's ENTRY_LONG */

/* Return: 0 or -errno of what failed. */
int rig_open(struct mx_rig *rig);
/* Closes the file; the model stays in the chip. */
void rig_close(struct mx_rig *rig);
/* Fills a submission of @nr_seq sequences of @tokens ids each, and the ids. */
struct mxaccel_submit rig_job(struct mx_rig *rig, uint32_t entry, uint32_t nr_seq, uint32_t tokens);
/* A job that takes minutes. */
struct mxaccel_submit rig_long_job(struct mx_rig *rig);
/* Runs a small job and checks its result; 0, or -errno, or 1 for a wrong result. */
int rig_check(struct mx_rig *rig);
/* Are the results of @nr_seq sequences those of their ids? Prints the first that is not. */
bool rig_result_good(const int32_t *ids, const float *out, uint32_t nr);

/* @bytes of memory that end where an unmapped page begins; @prot of their pages. */
void *mx_edge_alloc(size_t bytes, int prot);

#endif /* MXTEST_H */
