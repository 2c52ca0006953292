// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Latency and rate of commands that do nothing, by each door of the driver, beside
 * those of an NVMe device, in turn. Runs in the VM; prints one JSON object.
 *
 *	queues ROUNDS MXACCEL-NODE [NVME-GENERIC-NODE]
 *
 * NVMe's command is DSM with no attribute set, which its emulation completes without
 * looking at the medium.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/nvme_ioctl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "mxaccel.h"

#define NVME_DSM	0x09
#define MAX_ROUNDS	1000
#define SLICE_NS	20000000	/* of one contestant's turn */

static uint8_t range[16];	/* of DSM: no blocks */

static void fail(const char *what)
{
	fprintf(stderr, "queues: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/**
 * struct contestant - a way to run commands
 * @nvme:	else mxaccel
 * @door:	as printed
 * @ring_flags:	of io_uring; 0 with @depth 0: ioctl
 * @depth:	commands in flight
 * @ns:		of a command, by round
 */
struct contestant {
	bool nvme;
	const char *door;
	unsigned int ring_flags;
	unsigned int depth;
	bool by_ioctl;
	int fd;
	struct io_uring ring;
	double ns[MAX_ROUNDS];
};

/* ------------------------------------------------------------------- ioctl */

static void mx_once(int fd)
{
	struct mxaccel_submit submit = { .size = sizeof(submit), .flags = MXACCEL_SUBMIT_NOP };
	struct mxaccel_completion done;
	struct mxaccel_wait wait = {
		.size = sizeof(wait), .timeout_ms = 10000, .completions = (uintptr_t)&done,
		.count = 1,
	};

	if (ioctl(fd, MXACCEL_IOC_SUBMIT, &submit) || ioctl(fd, MXACCEL_IOC_WAIT, &wait))
		fail("mxaccel ioctl");
	if (done.error || done.job != submit.job)
		fail("mxaccel completion");
}

static void nvme_once(int fd)
{
	struct nvme_passthru_cmd64 cmd = {
		.opcode = NVME_DSM, .nsid = 1, .addr = (uintptr_t)range, .data_len = sizeof(range),
	};

	if (ioctl(fd, NVME_IOCTL_IO64_CMD, &cmd))
		fail("nvme ioctl");
}

/* ---------------------------------------------------------------- io_uring */

static void prepare(struct contestant *c)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&c->ring);

	if (!sqe)
		fail("io_uring_get_sqe");
	/* Entries of this ring are twice as long as their type. */
	memset(sqe, 0, sizeof(*sqe));
	memset(sqe + 1, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = c->fd;
	if (c->nvme) {
		struct nvme_uring_cmd *cmd = (void *)sqe->cmd;

		sqe->cmd_op = NVME_URING_CMD_IO;
		cmd->opcode = NVME_DSM;
		cmd->nsid = 1;
		cmd->addr = (uintptr_t)range;
		cmd->data_len = sizeof(range);
	} else {
		struct mxaccel_submit *submit = (void *)sqe->cmd;

		sqe->cmd_op = MXACCEL_URING_SUBMIT;
		submit->size = sizeof(*submit);
		submit->flags = MXACCEL_SUBMIT_NOP;
	}
}

/* Fills the ring, waits for all of it. */
static void batch(struct contestant *c)
{
	struct io_uring_cqe *cqe;
	unsigned int i, head, seen = 0;

	for (i = 0; i < c->depth; i++)
		prepare(c);
	while (seen < c->depth) {
		unsigned int got = 0;
		int rc = io_uring_submit_and_wait(&c->ring, c->depth - seen);

		if (rc < 0 && rc != -EINTR) {
			errno = -rc;
			fail("io_uring");
		}
		io_uring_for_each_cqe(&c->ring, head, cqe) {
			if (cqe->res) {
				errno = -cqe->res;
				fail(c->nvme ? "nvme by io_uring" : "mxaccel by io_uring");
			}
			got++;
		}
		io_uring_cq_advance(&c->ring, got);
		seen += got;
	}
}

/* ------------------------------------------------------------------- turns */

static void turn(struct contestant *c, double *ns)
{
	uint64_t begin = now_ns(), end = begin + SLICE_NS, now;
	uint64_t done = 0;

	do {
		if (!c->by_ioctl)
			batch(c);
		else if (c->nvme)
			nvme_once(c->fd);
		else
			mx_once(c->fd);
		done += c->by_ioctl ? 1 : c->depth;
		now = now_ns();
	} while (now < end);
	*ns = (double)(now - begin) / done;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static struct contestant *add(struct contestant *c, bool nvme, const char *node, unsigned int flags,
			      unsigned int depth)
{
	int rc;

	c->nvme = nvme;
	c->by_ioctl = !depth;
	c->door = c->by_ioctl ? "ioctl" : flags & IORING_SETUP_IOPOLL ? "io_uring polled" : "io_uring";
	c->depth = depth ? depth : 1;
	c->fd = open(node, O_RDWR | O_CLOEXEC);
	if (c->fd < 0)
		fail(node);
	if (depth) {
		rc = io_uring_queue_init(depth, &c->ring, flags | IORING_SETUP_SQE128 |
					 IORING_SETUP_CQE32 | IORING_SETUP_SINGLE_ISSUER |
					 IORING_SETUP_COOP_TASKRUN);
		if (rc) {
			errno = -rc;
			fail("io_uring_queue_init");
		}
	}
	return c + 1;
}

static struct contestant *add_all(struct contestant *c, bool nvme, const char *node)
{
	static const unsigned int depths[] = { 1, 32, 128 };
	unsigned int i;

	c = add(c, nvme, node, 0, 0);
	for (i = 0; i < 3; i++)
		c = add(c, nvme, node, 0, depths[i]);
	for (i = 0; i < 3; i++)
		c = add(c, nvme, node, IORING_SETUP_IOPOLL, depths[i]);
	return c;
}

int main(int argc, char **argv)
{
	static struct contestant list[14];
	struct contestant *end = list, *c;
	int rounds = argc > 1 ? atoi(argv[1]) : 0;
	int i;

	if (argc < 3 || argc > 4 || rounds < 1 || rounds > MAX_ROUNDS) {
		fprintf(stderr, "usage: queues ROUNDS MXACCEL-NODE [NVME-GENERIC-NODE]\n");
		return 2;
	}
	end = add_all(end, false, argv[2]);
	if (argc > 3)
		end = add_all(end, true, argv[3]);
	for (i = -1; i < rounds; i++)		/* the first round warms up */
		for (c = list; c < end; c++)
			turn(c, &c->ns[i < 0 ? 0 : i]);
	printf("[");
	for (c = list; c < end; c++) {
		qsort(c->ns, rounds, sizeof(c->ns[0]), compare);
		printf("%s\n {\"device\": \"%s\", \"door\": \"%s\", \"depth\": %u, \"median_us\": %.3f, \"best_us\": %.3f}",
		       c == list ? "" : ",", c->nvme ? "nvme" : "mxaccel", c->door, c->depth,
		       c->ns[rounds / 2] / 1e3, c->ns[0] / 1e3);
	}
	printf("\n]\n");
	return 0;
}
