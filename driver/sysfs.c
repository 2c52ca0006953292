// SPDX-License-Identifier: GPL-2.0-only
/*
 * sysfs of the class device: its state, perf/ (counters), chip/ (identity and
 * geometry), health/ (wear and faults), models/ (the directory).
 * Documentation/ABI/testing has a page for each. Reading needs a live device,
 * except for the state itself.
 */
#include <linux/kobject.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "mxaccel_drv.h"

/* An attribute that is an element of a table of the chip */
struct mx_index_attr {
	struct device_attribute attr;
	unsigned int index;
};

static unsigned int mx_attr_index(const struct device_attribute *attr)
{
	return container_of(attr, struct mx_index_attr, attr)->index;
}

static unsigned int mx_attribute_index(const struct attribute *attr)
{
	return mx_attr_index(container_of(attr, struct device_attribute, attr));
}

/* ------------------------------------------------------------------ perf/ */

static ssize_t mx_counter_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct mx_dev *mx = dev_get_drvdata(dev);
	u64 value;
	int idx;

	if (!mx_enter(mx, &idx))
		return -ENODEV;
	value = mx_read_counter(mx, mx_attr_index(attr));
	mx_exit(mx, idx);
	return sysfs_emit(buf, "%llu\n", value);
}

#define MXACCEL_X(name, file, text) \
	static struct mx_index_attr mx_perf_##file = { \
		__ATTR(file, 0444, mx_counter_show, NULL), MXACCEL_CTR_##name };
MXACCEL_COUNTERS(MXACCEL_X)
#undef MXACCEL_X

static struct attribute *mx_perf_attrs[] = {
#define MXACCEL_X(name, file, text) &mx_perf_##file.attr.attr,
	MXACCEL_COUNTERS(MXACCEL_X)
#undef MXACCEL_X
	NULL
};

/* An older chip has fewer counters. */
static umode_t mx_perf_visible(struct kobject *kobj, struct attribute *attr, int n)
{
	struct mx_dev *mx = dev_get_drvdata(kobj_to_dev(kobj));

	return mx_attribute_index(attr) < mx->nr_counters ? attr->mode : 0;
}

static const struct attribute_group mx_perf_group = {
	.name = "perf",
	.attrs = mx_perf_attrs,
	.is_visible = mx_perf_visible,
};

/* ------------------------------------------------------------------ chip/ */

static ssize_t mx_chip_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct mx_dev *mx = dev_get_drvdata(dev);
	u64 value;
	int idx;

	if (!mx_enter(mx, &idx))
		return -ENODEV;
	value = le64_to_cpu(mx->identity->value[mx_attr_index(attr)]);
	mx_exit(mx, idx);
	return sysfs_emit(buf, "%llu\n", value);
}

#define MXACCEL_X(name, file, text) \
	static struct mx_index_attr mx_chip_##file = { \
		__ATTR(file, 0444, mx_chip_show, NULL), MXACCEL_CHIP_##name };
MXACCEL_CHIP_VALUES(MXACCEL_X)
#undef MXACCEL_X

/* Text of the chip, which may hold anything: one printable line. */
ssize_t mx_emit_text(char *buf, const char *text, size_t room)
{
	size_t length = strnlen(text, room), i;

	for (i = 0; i < length; i++)
		buf[i] = (u8)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i];
	buf[length++] = '\n';
	return length;
}

static ssize_t name_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct mx_dev *mx = dev_get_drvdata(dev);

	return mx_emit_text(buf, mx->identity->chip, sizeof(mx->identity->chip));
}
static DEVICE_ATTR_RO(name);

static ssize_t organisation_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct mx_dev *mx = dev_get_drvdata(dev);

	return mx_emit_text(buf, mx->identity->organisation, sizeof(mx->identity->organisation));
}
static DEVICE_ATTR_RO(organisation);

static ssize_t serial_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct mx_dev *mx = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%llu\n", le64_to_cpu(mx->identity->serial));
}
static DEVICE_ATTR_RO(serial);

static ssize_t hw_version_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct mx_dev *mx = dev_get_drvdata(dev);
	u32 version;
	int idx;

	if (!mx_enter(mx, &idx))
		return -ENODEV;
	version = readl(mx->regs + MXACCEL_REG_VERSION);
	mx_exit(mx, idx);
	return sysfs_emit(buf, "%u.%u\n", version >> 16, version & 0xffff);
}
static DEVICE_ATTR_RO(hw_version);

static ssize_t free_bytes_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct mx_dev *mx = dev_get_drvdata(dev);
	struct mxaccel_identify *identity;
	ssize_t ret = -ENODEV;
	int idx;

	identity = kmalloc(sizeof(*identity), GFP_KERNEL);
	if (!identity)
		return -ENOMEM;
	if (mx_enter(mx, &idx)) {
		ret = mx_identify(mx, identity);
		mx_exit(mx, idx);
	}
	if (!ret)
		ret = sysfs_emit(buf, "%llu\n", le64_to_cpu(identity->free_bytes));
	kfree(identity);
	return ret;
}
static DEVICE_ATTR_RO(free_bytes);

static struct attribute *mx_chip_attrs[] = {
	&dev_attr_name.attr,
	&dev_attr_organisation.attr,
	&dev_attr_serial.attr,
	&dev_attr_hw_version.attr,
	&dev_attr_free_bytes.attr,
#define MXACCEL_X(name, file, text) &mx_chip_##file.attr.attr,
	MXACCEL_CHIP_VALUES(MXACCEL_X)
#undef MXACCEL_X
	NULL
};

static const struct attribute_group mx_chip_group = {
	.name = "chip",
	.attrs = mx_chip_attrs,
};

/* ---------------------------------------------------------------- health/ */

static ssize_t mx_health_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct mx_dev *mx = dev_get_drvdata(dev);
	unsigned int index = mx_attr_index(attr);
	struct mxaccel_health *health;
	ssize_t ret = -ENODEV;
	int idx;

	health = kmalloc(sizeof(*health), GFP_KERNEL);
	if (!health)
		return -ENOMEM;
	if (mx_enter(mx, &idx)) {
		ret = mx_identify_health(mx, health);
		mx_exit(mx, idx);
	}
	if (!ret && index >= le32_to_cpu(health->nr_values))
		ret = -EOPNOTSUPP;
	if (!ret)
		ret = sysfs_emit(buf, "%llu\n", le64_to_cpu(health->value[index]));
	kfree(health);
	return ret;
}

#define MXACCEL_X(name, file, text) \
	static struct mx_index_attr mx_health_##file = { \
		__ATTR(file, 0444, mx_health_show, NULL), MXACCEL_HEALTH_##name };
MXACCEL_HEALTH_VALUES(MXACCEL_X)
#undef MXACCEL_X

static struct attribute *mx_health_attrs[] = {
#define MXACCEL_X(name, file, text) &mx_health_##file.attr.attr,
	MXACCEL_HEALTH_VALUES(MXACCEL_X)
#undef MXACCEL_X
	NULL
};

static umode_t mx_health_visible(struct kobject *kobj, struct attribute *attr, int n)
{
	struct mx_dev *mx = dev_get_drvdata(kobj_to_dev(kobj));

	return mx->hw_features & MXACCEL_FEATURE_HEALTH ? attr->mode : 0;
}

static const struct attribute_group mx_health_group = {
	.name = "health",
	.attrs = mx_health_attrs,
	.is_visible = mx_health_visible,
};

/* ----------------------------------------------------------------- device */

static ssize_t state_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct mx_dev *mx = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%s\n", mx_state_name(READ_ONCE(mx->state)));
}
static DEVICE_ATTR_RO(state);

static ssize_t platform_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct mx_dev *mx = dev_get_drvdata(dev);
	u32 platform;
	int idx;

	if (!mx_enter(mx, &idx))
		return -ENODEV;
	platform = readl(mx->regs + MXACCEL_REG_PLATFORM);
	mx_exit(mx, idx);
	return sysfs_emit(buf, "%s\n", platform == MXACCEL_PLATFORM_QEMU ? "qemu" :
			  platform == MXACCEL_PLATFORM_SILICON ? "silicon" : "unknown");
}
static DEVICE_ATTR_RO(platform);

static ssize_t reset_count_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct mx_dev *mx = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%u\n", READ_ONCE(mx->resets));
}
static DEVICE_ATTR_RO(reset_count);

static ssize_t last_error_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct mx_dev *mx = dev_get_drvdata(dev);
	ssize_t length;

	spin_lock(&mx->state_lock);
	length = sysfs_emit(buf, "%s\n", mx->last_error);
	spin_unlock(&mx->state_lock);
	return length;
}
static DEVICE_ATTR_RO(last_error);

static ssize_t holders_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return mx_show_holders(dev_get_drvdata(dev), MX_NO_MODEL, buf);
}
static DEVICE_ATTR_ADMIN_RO(holders);

static ssize_t queues_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct mx_dev *mx = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%u\n", mx->nr_io);
}
static DEVICE_ATTR_RO(queues);

static ssize_t queue_entries_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct mx_dev *mx = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%u\n", mx->io_depth);
}
static DEVICE_ATTR_RO(queue_entries);

static ssize_t vectors_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct mx_dev *mx = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%u\n", mx->nr_vectors);
}
static DEVICE_ATTR_RO(vectors);

static ssize_t jobs_in_flight_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct mx_dev *mx = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%d\n", atomic_read(&mx->jobs));
}
static DEVICE_ATTR_RO(jobs_in_flight);

static struct attribute *mx_device_attrs[] = {
	&dev_attr_state.attr,
	&dev_attr_platform.attr,
	&dev_attr_reset_count.attr,
	&dev_attr_last_error.attr,
	&dev_attr_holders.attr,
	&dev_attr_queues.attr,
	&dev_attr_queue_entries.attr,
	&dev_attr_vectors.attr,
	&dev_attr_jobs_in_flight.attr,
	NULL
};

static const struct attribute_group mx_device_group = {
	.attrs = mx_device_attrs,
};

const struct attribute_group *mx_attr_groups[] = {
	&mx_device_group,
	&mx_perf_group,
	&mx_chip_group,
	&mx_health_group,
	NULL
};
