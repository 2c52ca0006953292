// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Devices: finding, opening, describing and counting.
 */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

#define NODE_PREFIX "mxaccel"

/* Number of "mxaccelN", or -1 */
static long node_number(const char *name)
{
	const char *digits = name + strlen(NODE_PREFIX);
	size_t i;

	if (strncmp(name, NODE_PREFIX, strlen(NODE_PREFIX)) || !*digits || strlen(digits) > 6)
		return -1;
	for (i = 0; digits[i]; i++)
		if (!isdigit((unsigned char)digits[i]))
			return -1;
	return strtol(digits, NULL, 10);
}

static int compare_numbers(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return (x > y) - (x < y);
}

/* PCI address of a node by the class device that sysfs has for it */
static void pci_address(long number, char *address, size_t bytes)
{
	char link[64], target[512];
	const char *last;
	ssize_t length;

	snprintf(link, sizeof(link), "/sys/class/" NODE_PREFIX "/" NODE_PREFIX "%ld/device", number);
	length = readlink(link, target, sizeof(target) - 1);
	if (length <= 0)
		return;
	target[length] = 0;
	last = strrchr(target, '/');
	snprintf(address, bytes, "%.*s", (int)bytes - 1, last ? last + 1 : target);
}

/* Numbers of all nodes, ascending, to be freed; *count of them. */
static int list_nodes(long **numbers, size_t *count)
{
	struct dirent *entry;
	size_t room = 0;
	long *grown;
	DIR *dir;

	*numbers = NULL;
	*count = 0;
	dir = opendir("/dev");
	if (!dir)
		return mxrt_fail(-errno, "cannot read /dev: %s", strerrordesc_np(errno));
	while ((entry = readdir(dir))) {
		if (node_number(entry->d_name) < 0)
			continue;
		if (*count == room) {
			room = room ? 2 * room : 8;
			grown = realloc(*numbers, room * sizeof(**numbers));
			if (!grown) {
				closedir(dir);
				free(*numbers);
				return mxrt_fail(-ENOMEM, "no memory to list %zu devices", room);
			}
			*numbers = grown;
		}
		(*numbers)[(*count)++] = node_number(entry->d_name);
	}
	closedir(dir);
	if (*count)
		qsort(*numbers, *count, sizeof(**numbers), compare_numbers);
	return 0;
}

int mxrt_enumerate(struct mxrt_found *list, size_t *count)
{
	size_t nr, i;
	long *numbers;
	int err;

	if (!count || (*count && !list))
		return mxrt_fail(-EINVAL, "%s: no count or no list", __func__);
	err = list_nodes(&numbers, &nr);
	if (err)
		return err;
	for (i = 0; i < nr && i < *count; i++) {
		memset(&list[i], 0, sizeof(list[i]));
		snprintf(list[i].path, sizeof(list[i].path), "/dev/" NODE_PREFIX "%ld", numbers[i]);
		pci_address(numbers[i], list[i].pci, sizeof(list[i].pci));
	}
	free(numbers);
	*count = nr;
	return 0;
}

static int open_first(struct mxrt_device **out)
{
	struct mxrt_found first;
	size_t count = 1;
	int err;

	err = mxrt_enumerate(&first, &count);
	if (err)
		return err;
	if (!count)
		return mxrt_fail(-ENOENT,
				 "no accelerator here (no /dev/" NODE_PREFIX "N): is one in the machine, and mxaccel.ko loaded? A chip model in this process is opened by name: \"sim:mx1\"");
	return mxrt_node_open(first.path, out);
}

static int open_pci(const char *address, struct mxrt_device **out)
{
	char path[64] = "", of_node[32];
	size_t nr, i;
	long *numbers;
	int err;

	err = list_nodes(&numbers, &nr);
	if (err)
		return err;
	for (i = 0; i < nr && !path[0]; i++) {
		of_node[0] = 0;
		pci_address(numbers[i], of_node, sizeof(of_node));
		if (!strcmp(of_node, address))
			snprintf(path, sizeof(path), "/dev/" NODE_PREFIX "%ld", numbers[i]);
	}
	free(numbers);
	if (!path[0])
		return mxrt_fail(-ENOENT, "no accelerator driven by mxaccel.ko at PCI address %s",
				 address);
	return mxrt_node_open(path, out);
}

/* "0000:00:03.0" */
static bool is_pci_address(const char *name)
{
	unsigned int domain, bus, slot, function;
	int end = 0;

	return sscanf(name, "%4x:%2x:%2x.%1x%n", &domain, &bus, &slot, &function, &end) == 4 &&
	       end == 12 && !name[end];
}

int mxrt_open(const char *name, const struct mxrt_open_params *params, struct mxrt_device **out)
{
	struct mxrt_open_params p;
	int err;

	if (!out)
		return mxrt_fail(-EINVAL, "%s: no out", __func__);
	err = mxrt_params_get(&p, sizeof(p), params, "mxrt_open_params");
	if (err)
		return err;
	if (p.flags || p.rsvd)
		return mxrt_fail(-EINVAL, "%s: unknown flags 0x%x", __func__, p.flags | p.rsvd);
	if (name && !strncmp(name, "sim:", 4))
		return mxrt_sim_open(name, &p, out);
	if (p.threads || p.seed || p.isa || p.watch)
		return mxrt_fail(-EINVAL,
				 "threads, seed, isa and watch are for \"sim:\" devices, not for %s",
				 name ? name : "/dev/" NODE_PREFIX "N");
	if (!name)
		return open_first(out);
	if (name[0] == '/')
		return mxrt_node_open(name, out);
	if (is_pci_address(name))
		return open_pci(name, out);
	return mxrt_fail(-EINVAL,
			 "\"%s\" names no device: use a path (/dev/" NODE_PREFIX "0), a PCI address (0000:00:03.0) or a chip model in this process (sim:mx1)",
			 name);
}

int mxrt_device_init(struct mxrt_device *dev, const struct mxrt_backend *backend, const char *name)
{
	dev->backend = backend;
	atomic_init(&dev->refs, 1);
	snprintf(dev->name, sizeof(dev->name), "%s", name);
	if (pthread_mutex_init(&dev->lock, NULL))
		return mxrt_fail(-ENOMEM, "no memory for a lock");
	if (pthread_mutex_init(&dev->infer_lock, NULL)) {
		pthread_mutex_destroy(&dev->lock);
		return mxrt_fail(-ENOMEM, "no memory for a lock");
	}
	return 0;
}

void mxrt_device_get(struct mxrt_device *dev)
{
	atomic_fetch_add(&dev->refs, 1);
}

void mxrt_device_put(struct mxrt_device *dev)
{
	if (atomic_fetch_sub(&dev->refs, 1) > 1)
		return;
	pthread_mutex_destroy(&dev->infer_lock);
	pthread_mutex_destroy(&dev->lock);
	dev->backend->close(dev);
}

void mxrt_close(struct mxrt_device *dev)
{
	if (dev)
		mxrt_device_put(dev);
}

int mxrt_query(struct mxrt_device *dev, struct mxrt_device_info *info)
{
	struct mxrt_device_info full = { 0 };
	struct mxaccel_identify page = { 0 };
	int err;

	if (!dev || !info)
		return mxrt_fail(-EINVAL, "%s: no device or no info", __func__);
	err = dev->backend->query(dev, &full);
	if (!err)
		err = dev->backend->identify(dev, &page);
	if (err)
		return err;
	snprintf(full.name, sizeof(full.name), "%s", dev->name);
	snprintf(full.backend, sizeof(full.backend), "%s", dev->backend->name);
	snprintf(full.chip, sizeof(full.chip), "%.*s", (int)sizeof(page.chip) - 1, page.chip);
	snprintf(full.organisation, sizeof(full.organisation), "%.*s",
		 (int)sizeof(page.organisation) - 1, page.organisation);
	full.serial = page.serial;
	full.capacity_bytes = page.value[MXACCEL_CHIP_CAPACITY_BYTES];
	full.free_bytes = page.free_bytes;
	full.clock_khz = page.value[MXACCEL_CHIP_CLOCK_KHZ];
	full.nr_models = page.nr_models;
	full.max_models = page.value[MXACCEL_CHIP_MAX_MODELS];
	full.queue_depth = dev->queue_depth;
	full.max_io_bytes = dev->max_io_bytes;
	return mxrt_info_put(info, &full, sizeof(full), "mxrt_device_info");
}

static const struct mxrt_value chip_values[] = {
#define MXACCEL_X(name, file, text) { #file, text, 0 },
	MXACCEL_CHIP_VALUES(MXACCEL_X)
#undef MXACCEL_X
};

static const struct mxrt_value counter_values[] = {
#define MXACCEL_X(name, file, text) { #file, text, 0 },
	MXACCEL_COUNTERS(MXACCEL_X)
#undef MXACCEL_X
};

static const struct mxrt_value health_values[] = {
#define MXACCEL_X(name, file, text) { #file, text, 0 },
	MXACCEL_HEALTH_VALUES(MXACCEL_X)
#undef MXACCEL_X
};

/* Names and values of the first @nr, as far as there is room. */
static void put_values(struct mxrt_value *list, size_t *count, const struct mxrt_value *names,
		       const __u64 *values, size_t nr)
{
	size_t i;

	for (i = 0; i < nr && i < *count; i++) {
		list[i] = names[i];
		list[i].value = values[i];
	}
	*count = nr;
}

int mxrt_chip_values(struct mxrt_device *dev, struct mxrt_value *list, size_t *count)
{
	struct mxaccel_identify page = { 0 };
	int err;

	if (!dev || !count || (*count && !list))
		return mxrt_fail(-EINVAL, "%s: no device, count or list", __func__);
	err = dev->backend->identify(dev, &page);
	if (err)
		return err;
	put_values(list, count, chip_values, page.value,
		   page.nr_values < MXACCEL_CHIP_NR ? page.nr_values : MXACCEL_CHIP_NR);
	return 0;
}

int mxrt_health(struct mxrt_device *dev, struct mxrt_value *list, size_t *count)
{
	struct mxaccel_health page = { 0 };
	int err;

	if (!dev || !count || (*count && !list))
		return mxrt_fail(-EINVAL, "%s: no device, count or list", __func__);
	err = dev->backend->health(dev, &page);
	if (err == -EOPNOTSUPP)
		return mxrt_fail(err, "%s does not tell its health: its driver or chip is older",
				 dev->name);
	if (err)
		return err;
	put_values(list, count, health_values, page.value,
		   page.nr_values < MXACCEL_HEALTH_NR ? page.nr_values : MXACCEL_HEALTH_NR);
	return 0;
}

int mxrt_counters(struct mxrt_device *dev, unsigned int scope, const struct mxrt_model *model,
		  struct mxrt_value *list, size_t *count)
{
	__u64 values[MXACCEL_CTR_NR] = { 0 };
	uint32_t nr = MXACCEL_CTR_NR;
	int err;

	if (!dev || !count || (*count && !list))
		return mxrt_fail(-EINVAL, "%s: no device, count or list", __func__);
	if (scope > MXRT_SCOPE_MODEL || (scope == MXRT_SCOPE_MODEL) != !!model)
		return mxrt_fail(-EINVAL, "%s: scope %u %s a model", __func__, scope,
				 model ? "with" : "without");
	if (model && model->dev != dev)
		return mxrt_fail(-EXDEV, "%s: the model is of another device handle", __func__);
	err = dev->backend->counters(dev, scope, model ? model->use->id : 0, values, &nr);
	if (err)
		return err;
	put_values(list, count, counter_values, values, nr < MXACCEL_CTR_NR ? nr : MXACCEL_CTR_NR);
	return 0;
}
