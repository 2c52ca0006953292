// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Backend of device nodes: /dev/mxaccelN by its ioctls.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "node.h"

int mxrt_node_ioctl(int fd, unsigned long request, void *arg)
{
	while (ioctl(fd, request, arg))
		if (errno != EINTR)
			return -errno;
	return 0;
}

int mxrt_node_fail(const struct mxrt_device *dev, int err, const char *what)
{
	if (err == -ENODEV)
		return mxrt_fail(err, "cannot %s: %s is gone or was reset: open it again", what,
				 dev->name);
	return mxrt_fail(err, "cannot %s on %s: %s", what, dev->name, strerrordesc_np(-err));
}

static void node_close(struct mxrt_device *dev)
{
	struct node_device *node = mxrt_to_node(dev);

	if (node->staging.ptr)
		munmap(node->staging.ptr, node->staging.bytes);
	if (node->queue_fd >= 0)
		close(node->queue_fd);
	close(node->fd);
	free(node);
}

static int node_query(struct mxrt_device *dev, struct mxrt_device_info *info)
{
	struct mxaccel_query query = { .size = sizeof(query) };
	int err;

	err = mxrt_node_ioctl(mxrt_to_node(dev)->fd, MXACCEL_IOC_QUERY, &query);
	if (err)
		return mxrt_node_fail(dev, err, "query");
	info->platform = query.platform;
	return 0;
}

static int node_identify(struct mxrt_device *dev, struct mxaccel_identify *page)
{
	struct mxaccel_query query = { .size = sizeof(query), .identify = (uintptr_t)page };
	int err;

	err = mxrt_node_ioctl(mxrt_to_node(dev)->fd, MXACCEL_IOC_QUERY, &query);
	if (err)
		return mxrt_node_fail(dev, err, "identify");
	return 0;
}

static int node_health(struct mxrt_device *dev, struct mxaccel_health *page)
{
	struct mxaccel_query query = { .size = sizeof(query), .health = (uintptr_t)page };
	int err;

	if (!(mxrt_to_node(dev)->features & MXACCEL_DRVFEAT_HEALTH))
		return -EOPNOTSUPP;
	err = mxrt_node_ioctl(mxrt_to_node(dev)->fd, MXACCEL_IOC_QUERY, &query);
	return err ? mxrt_node_fail(dev, err, "read the health") : 0;
}

static int model_open(int fd, struct mxrt_use *use)
{
	struct mxaccel_model_open arg = { .size = sizeof(arg) };
	int err;

	memcpy(arg.content, use->content, sizeof(arg.content));
	err = mxrt_node_ioctl(fd, MXACCEL_IOC_MODEL_OPEN, &arg);
	if (!err)
		use->id = arg.model;
	return err;
}

static int node_load(struct mxrt_device *dev, const struct mxrt_image *image, uint32_t flags,
		     struct mxrt_use *use, struct mxrt_loaded *loaded)
{
	struct mxaccel_model_program arg = { .size = sizeof(arg) };
	int fd = mxrt_to_node(dev)->fd;
	int err;

	if (flags & MXRT_LOAD_RESIDENT) {
		err = model_open(fd, use);
		if (err == -ENOENT)
			return mxrt_fail(err, "model image %s is not resident in %s", image->name,
					 dev->name);
		return err ? mxrt_node_fail(dev, err, "use a resident model") : 0;
	}
	memcpy(arg.content, use->content, sizeof(arg.content));
	arg.model_addr = (uintptr_t)mxrt_section_data(image, MXACCEL_SEC_MODEL);
	arg.model_bytes = image->section[MXACCEL_SEC_MODEL]->bytes;
	arg.params_addr = (uintptr_t)mxrt_section_data(image, MXACCEL_SEC_PARAMS);
	arg.params_bytes = image->section[MXACCEL_SEC_PARAMS]->bytes;
	if (mxrt_to_node(dev)->features & MXACCEL_DRVFEAT_REUSE)
		arg.chunks_addr = (uintptr_t)mxrt_image_chunks(image);
	/* Not repeated after a signal: programming takes long, and the user may want to stop it. */
	if (ioctl(fd, MXACCEL_IOC_MODEL_PROGRAM, &arg)) {
		err = -errno;
		if (arg.status)
			return mxrt_load_refused(dev, image, arg.status);
		if (err == -EINTR)
			return mxrt_fail(err, "loading %s was interrupted; nothing of it stays",
					 image->name);
		return mxrt_node_fail(dev, err, "load the model");
	}
	use->id = arg.model;
	loaded->programmed = !arg.resident;
	loaded->reused = arg.reused_chunks;
	loaded->bytes = arg.programmed_bytes;
	if (loaded->programmed && !loaded->bytes)	/* a driver from before it told */
		loaded->bytes = arg.model_bytes + arg.params_bytes;
	return 0;
}

static void node_unload(struct mxrt_device *dev, struct mxrt_use *use)
{
	struct mxaccel_model_close arg = { .size = sizeof(arg), .model = use->id };
	struct node_device *node = mxrt_to_node(dev);

	if (use->on_queue)
		mxrt_node_ioctl(node->queue_fd, MXACCEL_IOC_MODEL_CLOSE, &arg);
	mxrt_node_ioctl(node->fd, MXACCEL_IOC_MODEL_CLOSE, &arg);
}

static int node_models(struct mxrt_device *dev, struct mxrt_resident *list, size_t *count)
{
	struct mxaccel_model_list arg = { .size = sizeof(arg) };
	struct mxaccel_model_info *infos;
	uint32_t room = MXACCEL_MODELS_PER_PAGE;
	uint32_t i;
	int err;

	for (;; room = arg.count) {
		infos = calloc(room, sizeof(*infos));
		if (!infos)
			return mxrt_fail(-ENOMEM, "no memory to list %u models", room);
		arg.count = room;
		arg.infos = (uintptr_t)infos;
		err = mxrt_node_ioctl(mxrt_to_node(dev)->fd, MXACCEL_IOC_MODEL_LIST, &arg);
		if (err || arg.count <= room)
			break;
		free(infos);
	}
	for (i = 0; !err && i < arg.count && i < *count; i++)
		mxrt_resident_fill(&list[i], &infos[i]);
	free(infos);
	if (err)
		return mxrt_node_fail(dev, err, "list the models");
	*count = arg.count;
	return 0;
}

static int model_in_use(const struct mxrt_device *dev, const struct mxaccel_model_delete *arg)
{
	char others[32] = "";

	if (!arg->holder_pid)
		return mxrt_fail(-EBUSY, "model %u of %s is in use: unload it everywhere first",
				 arg->model, dev->name);
	if (arg->nr_holders > 1)
		snprintf(others, sizeof(others), " and %u more", arg->nr_holders - 1);
	return mxrt_fail(-EBUSY,
			 "model %u of %s is in use by process %u (%.*s)%s: unload it there, or end that, first",
			 arg->model, dev->name, arg->holder_pid, (int)sizeof(arg->holder),
			 arg->holder, others);
}

static int node_model_delete(struct mxrt_device *dev, uint32_t id)
{
	struct mxaccel_model_delete arg = { .size = sizeof(arg), .model = id };
	int err;

	err = mxrt_node_ioctl(mxrt_to_node(dev)->fd, MXACCEL_IOC_MODEL_DELETE, &arg);
	switch (err) {
	case 0:
		return 0;
	case -ENOENT:
		return mxrt_fail(err, "%s has no resident model %u", dev->name, id);
	case -EBUSY:
		return model_in_use(dev, &arg);
	case -EPERM:
		return mxrt_fail(err, "deleting models of %s needs CAP_SYS_ADMIN", dev->name);
	default:
		return mxrt_node_fail(dev, err, "delete a model");
	}
}

static int node_refresh(struct mxrt_device *dev, uint32_t id)
{
	struct mxaccel_model_refresh arg = { .size = sizeof(arg), .model = id };
	int err;

	err = mxrt_node_ioctl(mxrt_to_node(dev)->fd, MXACCEL_IOC_MODEL_REFRESH, &arg);
	if (err == -ENODEV)
		return mxrt_node_fail(dev, err, "refresh a model");
	if (err == -ENOTTY)	/* a driver from before there was this */
		err = -EOPNOTSUPP;
	return err ? mxrt_refresh_refused(dev, id, err) : 0;
}

static int node_counters(struct mxrt_device *dev, unsigned int scope, uint32_t model,
			 __u64 *values, uint32_t *count)
{
	static const uint32_t scopes[] = {
		[MXRT_SCOPE_DEVICE] = MXACCEL_SCOPE_DEVICE,
		[MXRT_SCOPE_HANDLE] = MXACCEL_SCOPE_CONTEXT,
		[MXRT_SCOPE_MODEL] = MXACCEL_SCOPE_MODEL,
	};
	struct node_device *node = mxrt_to_node(dev);
	__u64 second[MXACCEL_CTR_NR] = { 0 };
	struct mxaccel_counters arg = {
		.size = sizeof(arg),
		.scope = scopes[scope],
		.model = model,
		.count = *count,
		.values = (uintptr_t)values,
	};
	int queue_fd = -1;
	uint32_t i;
	int err;

	err = mxrt_node_ioctl(node->fd, MXACCEL_IOC_COUNTERS, &arg);
	if (!err && scope == MXRT_SCOPE_HANDLE) {
		pthread_mutex_lock(&dev->lock);
		queue_fd = node->queue_fd;
		pthread_mutex_unlock(&dev->lock);
	}
	if (!err && queue_fd >= 0) {
		arg.count = MXACCEL_CTR_NR;
		arg.values = (uintptr_t)second;
		err = mxrt_node_ioctl(queue_fd, MXACCEL_IOC_COUNTERS, &arg);
		for (i = 0; i < *count && i < MXACCEL_CTR_NR; i++)
			values[i] += second[i];
	}
	if (err)
		return mxrt_node_fail(dev, err, "read the counters");
	*count = arg.count;
	return 0;
}

int mxrt_node_buf_create(int fd, void **ptr, uint64_t bytes, unsigned int access, uint32_t *handle)
{
	struct mxaccel_buf_create arg = {
		.size = sizeof(arg),
		.flags = (access & MXRT_BUF_READ ? MXACCEL_BUF_READ : 0) |
			 (access & MXRT_BUF_WRITE ? MXACCEL_BUF_WRITE : 0),
		.addr = (uintptr_t)*ptr,
		.bytes = bytes,
	};
	struct mxaccel_buf_free undo = { .size = sizeof(undo) };
	void *mapped;
	int err;

	err = mxrt_node_ioctl(fd, MXACCEL_IOC_BUF_CREATE, &arg);
	if (err)
		return err;
	*handle = arg.handle;
	if (*ptr)
		return 0;
	mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, arg.mmap_offset);
	if (mapped == MAP_FAILED) {
		err = -errno;
		undo.handle = arg.handle;
		mxrt_node_ioctl(fd, MXACCEL_IOC_BUF_FREE, &undo);
		return err;
	}
	*ptr = mapped;
	return 0;
}

void mxrt_node_buf_free(int fd, uint32_t handle, void *mapped, uint64_t bytes)
{
	struct mxaccel_buf_free arg = { .size = sizeof(arg), .handle = handle };

	if (mapped)
		munmap(mapped, bytes);
	mxrt_node_ioctl(fd, MXACCEL_IOC_BUF_FREE, &arg);
}

int mxrt_node_need_queue_fd(struct node_device *node)
{
	if (node->queue_fd >= 0)
		return 0;
	node->queue_fd = open(node->base.name, O_RDWR | O_CLOEXEC);
	if (node->queue_fd < 0)
		return mxrt_fail(-errno, "cannot open %s once more for its queue: %s",
				 node->base.name, strerrordesc_np(errno));
	return 0;
}

static int node_buf_create(struct mxrt_buffer *buf)
{
	struct node_device *node = mxrt_to_node(buf->dev);
	int err;

	pthread_mutex_lock(&node->base.lock);
	err = mxrt_node_need_queue_fd(node);
	pthread_mutex_unlock(&node->base.lock);
	if (err)
		return err;
	err = mxrt_node_buf_create(node->queue_fd, &buf->ptr, buf->bytes, buf->access, &buf->handle);
	if (err == -ENOMEM)
		return mxrt_fail(err,
				 "cannot get %zu bytes for %s: over the memory-lock limit (ulimit -l), or out of memory",
				 buf->bytes, buf->dev->name);
	return err ? mxrt_node_fail(buf->dev, err, "make a buffer") : 0;
}

static void node_buf_destroy(struct mxrt_buffer *buf)
{
	mxrt_node_buf_free(mxrt_to_node(buf->dev)->queue_fd, buf->handle,
			   buf->wrapped ? NULL : buf->ptr, buf->bytes);
}

static const struct mxrt_backend node_backend = {
	.name = "device",
	.close = node_close,
	.query = node_query,
	.identify = node_identify,
	.health = node_health,
	.load = node_load,
	.unload = node_unload,
	.models = node_models,
	.model_delete = node_model_delete,
	.refresh = node_refresh,
	.counters = node_counters,
	.infer = mxrt_node_infer,
	.schedule = mxrt_node_schedule,
	.buf_create = node_buf_create,
	.buf_destroy = node_buf_destroy,
	.queue_create = mxrt_node_queue_create,
	.queue_door = mxrt_node_queue_door,
	.queue_destroy = mxrt_node_queue_destroy,
	.submit = mxrt_node_submit,
	.reap = mxrt_node_reap,
	.cancel = mxrt_node_cancel,
};

/* The chip has no context left: names who opened the first of the files, if it may be known. */
static int all_in_use(const char *path)
{
	const char *name = strrchr(path, '/');
	char file[128], comm[16];
	unsigned int pid = 0;
	FILE *in;

	snprintf(file, sizeof(file), "/sys/class/mxaccel/%s/holders", name ? name + 1 : path);
	in = fopen(file, "re");
	if (in && fscanf(in, "%u %15[^\n]", &pid, comm) != 2)
		pid = 0;
	if (in)
		fclose(in);
	if (!pid)
		return mxrt_fail(-EBUSY,
				 "%s is open as often as its chip allows: see %s (as root) for who has it open",
				 path, file);
	return mxrt_fail(-EBUSY,
			 "%s is open as often as its chip allows, longest by process %u (%s): end a user of it; %s names all",
			 path, pid, comm, file);
}

static int open_node(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	switch (errno) {
	case ENOENT:
		return mxrt_fail(-ENOENT, "no device %s: is mxaccel.ko loaded?", path);
	case EBUSY:
		return all_in_use(path);
	case EACCES:
		return mxrt_fail(-EACCES, "no permission to open %s: see its group (ls -l %s)", path,
				 path);
	default:
		return mxrt_fail(-errno, "cannot open %s: %s", path, strerrordesc_np(errno));
	}
}

int mxrt_node_open(const char *path, struct mxrt_device **out)
{
	struct mxaccel_identify page = { 0 };
	struct mxaccel_query query = { .size = sizeof(query), .identify = (uintptr_t)&page };
	struct node_device *node;
	int err;

	node = calloc(1, sizeof(*node));
	if (!node)
		return mxrt_fail(-ENOMEM, "no memory to open %s", path);
	node->queue_fd = -1;
	node->fd = open_node(path);
	if (node->fd < 0) {
		err = node->fd;
		goto free_node;
	}
	err = mxrt_node_ioctl(node->fd, MXACCEL_IOC_QUERY, &query);
	if (err == -ENOTTY)
		err = mxrt_fail(-EINVAL, "%s is no mxaccel device", path);
	else if (err)
		err = mxrt_fail(err, "cannot query %s: %s", path, strerrordesc_np(-err));
	else if (!(query.features & MXACCEL_DRVFEAT_BUF_ALLOC))
		err = mxrt_fail(-EPROTONOSUPPORT,
				"the driver of %s cannot allocate buffers (features 0x%llx): update it",
				path, (unsigned long long)query.features);
	if (!err)
		err = mxrt_device_init(&node->base, &node_backend, path);
	if (err)
		goto close_fd;
	node->base.queue_depth = query.queue_depth;
	node->features = query.features;
	node->base.max_io_bytes = page.value[MXACCEL_CHIP_MAX_IO_BYTES];
	*out = &node->base;
	return 0;

close_fd:
	close(node->fd);
free_node:
	free(node);
	return err;
}
