// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Worker threads. A run is "open" while its caller still hands out indices;
 * a worker joins an open run under the lock and the caller returns once every
 * worker that joined has left, so a late worker can never touch the next run.
 */
#include <fenv.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "pool.h"

/*
 * How long a thread watches for work or its end before it sleeps. A thread that
 * was woken starts late, and behind its waker if the kernel finds no idle CPU.
 */
#define SPIN_NANOSECONDS 200000
/* Turns of a waiting loop between looks at the clock */
#define SPINS 64

struct mx_pool {
	pthread_mutex_t run_lock;	/* held by the caller whose run the workers do */
	pthread_mutex_t lock;
	pthread_cond_t work;		/* a run was opened, or exit set */
	pthread_cond_t done;		/* the last worker left a closed run */
	/* protected by lock; run is also read without it, to spin */
	_Atomic uint32_t run;		/* number of the last run opened */
	_Atomic uint32_t active;	/* workers in the run */
	_Atomic bool exit;
	_Atomic uint32_t held;		/* not under the lock: see mx_pool_hold() */
	uint32_t sleeping;
	bool open;
	void (*fn)(void *arg, uint64_t i);
	void *arg;
	uint64_t nr;
	_Atomic uint64_t next;		/* index to hand out */

	uint32_t nr_workers;
	pthread_t worker[];
};

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static uint64_t nanoseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

struct patience {
	uint64_t end;
	uint32_t turns;
};

/* One turn of a loop that watches; false once it has lasted long enough. */
static bool patient(struct patience *p)
{
	relax();
	if (++p->turns % SPINS)
		return true;
	if (!p->end)
		p->end = nanoseconds() + SPIN_NANOSECONDS;
	return nanoseconds() < p->end;
}

static void do_work(struct mx_pool *pool, void (*fn)(void *arg, uint64_t i), void *arg,
		    uint64_t nr)
{
	uint64_t i;

	while ((i = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed)) < nr)
		fn(arg, i);
}

static void *worker(void *opaque)
{
	struct mx_pool *pool = opaque;
	void (*fn)(void *arg, uint64_t i);
	struct patience patience;
	uint32_t seen = 0;
	uint64_t nr;
	void *arg;

	/* Results must not depend on a rounding mode that the creating thread had set. */
	fesetenv(FE_DFL_ENV);
	for (;;) {
		patience = (struct patience) { 0 };
		while (atomic_load(&pool->run) == seen && !atomic_load(&pool->exit) &&
		       (patient(&patience) || atomic_load(&pool->held)))
			;
		pthread_mutex_lock(&pool->lock);
		while (pool->run == seen && !pool->exit) {
			pool->sleeping++;
			pthread_cond_wait(&pool->work, &pool->lock);
			pool->sleeping--;
		}
		if (pool->exit)
			break;
		seen = pool->run;
		if (!pool->open) {
			pthread_mutex_unlock(&pool->lock);
			continue;
		}
		pool->active++;
		fn = pool->fn;
		arg = pool->arg;
		nr = pool->nr;
		pthread_mutex_unlock(&pool->lock);

		do_work(pool, fn, arg, nr);

		pthread_mutex_lock(&pool->lock);
		if (!--pool->active && !pool->open)
			pthread_cond_signal(&pool->done);
		pthread_mutex_unlock(&pool->lock);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

void mx_pool_for(void *opaque, uint64_t nr, void (*fn)(void *arg, uint64_t i), void *arg)
{
	struct mx_pool *pool = opaque;
	struct patience patience = { 0 };
	uint64_t i;

	if (nr < 2 || !pool->nr_workers || pthread_mutex_trylock(&pool->run_lock)) {
		for (i = 0; i < nr; i++)
			fn(arg, i);
		return;
	}
	pthread_mutex_lock(&pool->lock);
	pool->fn = fn;
	pool->arg = arg;
	pool->nr = nr;
	atomic_store(&pool->next, 0);
	pool->open = true;
	pool->run++;
	if (pool->sleeping && nr > 2)
		pthread_cond_broadcast(&pool->work);
	else if (pool->sleeping)
		pthread_cond_signal(&pool->work);
	pthread_mutex_unlock(&pool->lock);

	do_work(pool, fn, arg, nr);

	while (atomic_load(&pool->active) && patient(&patience))
		;
	pthread_mutex_lock(&pool->lock);
	pool->open = false;
	while (pool->active)
		pthread_cond_wait(&pool->done, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
	pthread_mutex_unlock(&pool->run_lock);
}

void mx_pool_hold(struct mx_pool *pool)
{
	atomic_fetch_add(&pool->held, 1);
}

void mx_pool_release(struct mx_pool *pool)
{
	atomic_fetch_sub(&pool->held, 1);
}

uint32_t mx_pool_threads(const struct mx_pool *pool)
{
	return pool->nr_workers + 1;
}

struct mx_pool *mx_pool_new(uint32_t threads)
{
	struct mx_pool *pool;
	sigset_t all, old;
	long cpus;

	if (!threads) {
		cpus = sysconf(_SC_NPROCESSORS_ONLN);
		threads = cpus > 0 ? cpus : 1;
	}
	if (threads > MX_POOL_MAX_THREADS)
		threads = MX_POOL_MAX_THREADS;
	pool = calloc(1, sizeof(*pool) + (threads - 1) * sizeof(pool->worker[0]));
	if (!pool)
		return NULL;
	pthread_mutex_init(&pool->run_lock, NULL);
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	pthread_cond_init(&pool->done, NULL);

	/* Signals of the process are for its own threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (pool->nr_workers < threads - 1) {
		if (pthread_create(&pool->worker[pool->nr_workers], NULL, worker, pool))
			break;
		pool->nr_workers++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (pool->nr_workers < threads - 1) {
		mx_pool_free(pool);
		return NULL;
	}
	return pool;
}

void mx_pool_free(struct mx_pool *pool)
{
	uint32_t i;

	pthread_mutex_lock(&pool->lock);
	pool->exit = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (i = 0; i < pool->nr_workers; i++)
		pthread_join(pool->worker[i], NULL);
	pthread_cond_destroy(&pool->done);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	pthread_mutex_destroy(&pool->run_lock);
	free(pool);
}
