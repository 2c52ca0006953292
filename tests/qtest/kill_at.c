// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Preloaded into QEMU by test_kill.py: ends it with SIGKILL at a step of its
 * writing to the store. Each pwrite() to the file $KILL_STORE is three steps (before,
 * in the middle of the data, after) and each fdatasync() two; $KILL_AT is the
 * number of the step, from 1.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static bool is_store(int fd)
{
	const char *path = getenv("KILL_STORE");
	struct stat file, store;

	return path && !fstat(fd, &file) && !stat(path, &store) && file.st_ino == store.st_ino &&
	       file.st_dev == store.st_dev;
}

static bool step_is_due(void)
{
	static atomic_long step;

	return atomic_fetch_add(&step, 1) + 1 == atol(getenv("KILL_AT"));
}

static void die(void)
{
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

typedef ssize_t (*pwrite_fn)(int fd, const void *data, size_t bytes, off64_t offset);

ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t offset)
{
	pwrite_fn real = (pwrite_fn)dlsym(RTLD_NEXT, "pwrite64");
	ssize_t done;

	if (!is_store(fd))
		return real(fd, data, bytes, offset);
	if (step_is_due())
		die();
	if (step_is_due()) {
		real(fd, data, bytes / 2, offset);
		die();
	}
	done = real(fd, data, bytes, offset);
	if (step_is_due())
		die();
	return done;
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset)
{
	return pwrite64(fd, data, bytes, offset);
}

int fdatasync(int fd)
{
	int (*real)(int fd) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
	int rc;

	if (!is_store(fd))
		return real(fd);
	if (step_is_due())
		die();
	rc = real(fd);
	if (step_is_due())
		die();
	return rc;
}
