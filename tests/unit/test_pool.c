// SPDX-License-Identifier: LGPL-2.1-or-later
/* Worker threads: every index once, from several callers, nested, in quick succession. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <pthread.h>

#include "pool.h"

#define MAX 1000

struct counts {
	struct mx_pool *pool;
	atomic_uint times[MAX];
	uint32_t plain[MAX];	/* without atomics: must be visible to the caller afterwards */
};

static void count(void *arg, uint64_t i)
{
	struct counts *c = arg;

	atomic_fetch_add(&c->times[i], 1);
	c->plain[i]++;
}

static void each_index_once(void **state)
{
	static struct counts c;
	uint32_t threads, nr, i, round;

	(void)state;
	for (threads = 1; threads <= 5; threads++) {
		c.pool = mx_pool_new(threads);
		assert_non_null(c.pool);
		assert_int_equal(mx_pool_threads(c.pool), threads);
		for (round = 0; round < 2000; round++) {
			nr = round % 7 ? round % 7 - 1 : round % MAX;
			memset(&c.times, 0, sizeof(c.times));
			memset(&c.plain, 0, sizeof(c.plain));
			mx_pool_for(c.pool, nr, count, &c);
			for (i = 0; i < MAX; i++) {
				assert_int_equal(c.times[i], i < nr);
				assert_int_equal(c.plain[i], i < nr);
			}
			/* Let the workers fall asleep now and then. */
			if (round % 400 == 0)
				usleep(2000);
		}
		mx_pool_free(c.pool);
	}
}

/* Held workers do the same work, however long the pauses, and sleep and end as always. */
static void held(void **state)
{
	static struct counts c;
	uint32_t round, i;

	(void)state;
	c.pool = mx_pool_new(3);
	assert_non_null(c.pool);
	mx_pool_hold(c.pool);
	mx_pool_hold(c.pool);
	for (round = 0; round < 50; round++) {
		if (round == 20)
			mx_pool_release(c.pool);
		if (round == 40)
			mx_pool_release(c.pool);
		memset(&c.times, 0, sizeof(c.times));
		mx_pool_for(c.pool, 100, count, &c);
		for (i = 0; i < 100; i++)
			assert_int_equal(c.times[i], 1);
		usleep(500);
	}
	mx_pool_hold(c.pool);
	mx_pool_for(c.pool, 100, count, &c);
	mx_pool_free(c.pool);
}

static void nested(void *arg, uint64_t i)
{
	struct counts *outer = arg;
	struct counts *c = calloc(1, sizeof(*c));
	uint32_t j;

	c->pool = outer->pool;
	mx_pool_for(c->pool, 20, count, c);
	for (j = 0; j < 20; j++)
		if (c->plain[j] != 1)
			abort();
	free(c);
	count(arg, i);
}

static void a_run_within_a_run(void **state)
{
	static struct counts c;
	uint32_t i;

	(void)state;
	c.pool = mx_pool_new(3);
	assert_non_null(c.pool);
	mx_pool_for(c.pool, MAX, nested, &c);
	for (i = 0; i < MAX; i++)
		assert_int_equal(c.plain[i], 1);
	mx_pool_free(c.pool);
}

static void *caller(void *arg)
{
	struct counts *c = calloc(1, sizeof(*c));
	uintptr_t wrong = 0;
	int round, i;

	for (round = 0; round < 300; round++)
		mx_pool_for(arg, MAX, count, c);
	for (i = 0; i < MAX; i++)
		wrong += c->plain[i] != 300;
	free(c);
	return (void *)wrong;
}

static void several_callers(void **state)
{
	struct mx_pool *pool = mx_pool_new(3);
	pthread_t thread[4];
	void *wrong;
	int i;

	(void)state;
	assert_non_null(pool);
	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, caller, pool), 0);
	for (i = 0; i < 4; i++) {
		pthread_join(thread[i], &wrong);
		assert_null(wrong);
	}
	mx_pool_free(pool);
}

static void limits_of_threads(void **state)
{
	struct mx_pool *pool = mx_pool_new(0);
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	(void)state;
	assert_non_null(pool);
	assert_int_equal(mx_pool_threads(pool), cpus < MX_POOL_MAX_THREADS ? cpus :
			 MX_POOL_MAX_THREADS);
	mx_pool_free(pool);
	pool = mx_pool_new(100000);
	assert_non_null(pool);
	assert_int_equal(mx_pool_threads(pool), MX_POOL_MAX_THREADS);
	mx_pool_free(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_index_once),
		cmocka_unit_test(held),
		cmocka_unit_test(a_run_within_a_run),
		cmocka_unit_test(several_callers),
		cmocka_unit_test(limits_of_threads),
	};

	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
