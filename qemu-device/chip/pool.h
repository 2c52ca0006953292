/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Worker threads of a chip. They sleep when there is nothing to do and spin
 * only between two steps of a job.
 */
#ifndef MX_CHIP_POOL_H
#define MX_CHIP_POOL_H

#include <stdint.h>

struct mx_pool;

/* The most threads that a pool may have. */
#define MX_POOL_MAX_THREADS 64

/**
 * mx_pool_new() - start the workers
 * @threads:	1 .. MX_POOL_MAX_THREADS, the thread that calls mx_pool_for()
 *		being one of them; 0: as many as CPUs are online. More are
 *		taken as the maximum.
 *
 * Return: the pool, or NULL if memory or threads are lacking.
 */
struct mx_pool *mx_pool_new(uint32_t threads);

/* Ends the workers. No mx_pool_for() may be under way. */
void mx_pool_free(struct mx_pool *pool);

/* Threads that work on a mx_pool_for(), its caller included. */
uint32_t mx_pool_threads(const struct mx_pool *pool);

/**
 * mx_pool_for() - call fn(arg, i) once for each i in 0 .. nr - 1
 * @pool:	struct mx_pool; void, so that this is a mx_parallel_for (digest.h)
 *
 * In any order, several at once; returns when all have returned, and what
 * they wrote can then be read. May be called from any thread, from within
 * @fn too: who finds the workers taken does the work alone.
 */
void mx_pool_for(void *pool, uint64_t nr, void (*fn)(void *arg, uint64_t i), void *arg);

/**
 * mx_pool_hold() - keep workers that are awake so until mx_pool_release()
 *
 * For a job of many short steps: a worker that sleeps between them starts late,
 * or waits behind the thread that woke it. Holds of several threads add up.
 */
void mx_pool_hold(struct mx_pool *pool);
void mx_pool_release(struct mx_pool *pool);

#endif /* MX_CHIP_POOL_H */
