// SPDX-License-Identifier: GPL-2.0-only
/*
 * perf: the chip's counters as events of a PMU of the device's name, as
 * `perf stat -e mxaccel0/cycles/ -a`. They count for the whole chip, so there
 * is neither sampling nor counting of a task.
 *
 * perf goes on using a PMU for a while after the last of its events was
 * destroyed, and tells nobody when that ends, except by dropping the module's
 * reference. So a PMU is registered when its device first appears and stays
 * until the module goes; a device that is removed only leaves it. An event
 * that is open then keeps its count, and a device that takes the number later
 * does not continue it.
 */
#include <linux/cpuhotplug.h>
#include <linux/module.h>
#include <linux/perf_event.h>
#include <linux/slab.h>

#include "mxaccel_drv.h"

/**
 * struct mx_pmu - a device's number as perf sees it
 * @pmu:	for perf
 * @name:	of the PMU
 * @node:	for processors that go offline
 * @cpu:	which counts
 * @lock:	protects @mx, @epoch; the innermost lock but for mx_dev.latch_lock
 * @mx:		device of that number, NULL while there is none
 * @epoch:	counts the devices; an event belongs to one
 */
struct mx_pmu {
	struct pmu pmu;
	char name[16];
	struct hlist_node node;
	unsigned int cpu;
	raw_spinlock_t lock;
	struct mx_dev *mx;
	u64 epoch;
};

static struct mx_pmu *mx_pmus[MX_MINORS];
static enum cpuhp_state mx_pmu_hotplug;

#define MX_UNKNOWN	U64_MAX	/* an event's start, which fell into a reset */

static struct mx_pmu *to_mx_pmu(struct pmu *pmu)
{
	return container_of(pmu, struct mx_pmu, pmu);
}

/* ------------------------------------------------------------------ sysfs */

static ssize_t mx_event_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct dev_ext_attribute *event = container_of(attr, struct dev_ext_attribute, attr);

	return sysfs_emit(buf, "event=0x%02lx\n", (unsigned long)event->var);
}

#define MXACCEL_X(name, file, text) \
	static struct dev_ext_attribute mx_event_##file = { \
		__ATTR(file, 0444, mx_event_show, NULL), (void *)MXACCEL_CTR_##name };
MXACCEL_COUNTERS(MXACCEL_X)
#undef MXACCEL_X

/* Energies, in femtojoules, are shown in microjoules: perf prints two digits after the point. */
static ssize_t mx_unit_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "uJ\n");
}

static ssize_t mx_scale_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "1e-9\n");
}

#define MXACCEL_X(counter, file, text) \
	static struct device_attribute mx_unit_##file = { \
		.attr = { .name = #file ".unit", .mode = 0444 }, .show = mx_unit_show }; \
	static struct device_attribute mx_scale_##file = { \
		.attr = { .name = #file ".scale", .mode = 0444 }, .show = mx_scale_show };
MXACCEL_COUNTERS(MXACCEL_X)
#undef MXACCEL_X

static struct attribute *mx_event_attrs[] = {
#define MXACCEL_X(name, file, text) \
	&mx_event_##file.attr.attr, &mx_unit_##file.attr, &mx_scale_##file.attr,
	MXACCEL_COUNTERS(MXACCEL_X)
#undef MXACCEL_X
	NULL
};

static umode_t mx_event_visible(struct kobject *kobj, struct attribute *attr, int n)
{
	return !strchr(attr->name, '.') || strstr(attr->name, "_fj.") ? attr->mode : 0;
}

static const struct attribute_group mx_events_group = {
	.name = "events",
	.attrs = mx_event_attrs,
	.is_visible = mx_event_visible,
};

PMU_FORMAT_ATTR(event, "config:0-15");

static struct attribute *mx_format_attrs[] = {
	&format_attr_event.attr,
	NULL
};

static const struct attribute_group mx_format_group = {
	.name = "format",
	.attrs = mx_format_attrs,
};

static ssize_t cpumask_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct mx_pmu *pmu = to_mx_pmu(dev_get_drvdata(dev));

	return cpumap_print_to_pagebuf(true, buf, cpumask_of(READ_ONCE(pmu->cpu)));
}
static DEVICE_ATTR_RO(cpumask);

static struct attribute *mx_cpumask_attrs[] = {
	&dev_attr_cpumask.attr,
	NULL
};

static const struct attribute_group mx_cpumask_group = {
	.attrs = mx_cpumask_attrs,
};

static const struct attribute_group *mx_pmu_groups[] = {
	&mx_events_group,
	&mx_format_group,
	&mx_cpumask_group,
	NULL
};

/* ----------------------------------------------------------------- events */

/* hw.config_base of an event is its counter, hw.config its device's epoch. */
static int mx_event_init(struct perf_event *event)
{
	struct mx_pmu *pmu = to_mx_pmu(event->pmu);
	struct perf_event *leader = event->group_leader;
	unsigned long flags;
	int err = -ENODEV;

	if (event->attr.type != event->pmu->type)
		return -ENOENT;
	if (is_sampling_event(event) || event->attach_state & PERF_ATTACH_TASK ||
	    has_branch_stack(event))
		return -EOPNOTSUPP;
	if (event->cpu < 0 || event->attr.config1 || event->attr.config2)
		return -EINVAL;
	if (leader != event && leader->pmu != event->pmu && !is_software_event(leader))
		return -EINVAL;

	raw_spin_lock_irqsave(&pmu->lock, flags);
	if (pmu->mx) {
		err = event->attr.config < pmu->mx->nr_counters ? 0 : -EINVAL;
		event->hw.config_base = event->attr.config;
		event->hw.config = pmu->epoch;
	}
	raw_spin_unlock_irqrestore(&pmu->lock, flags);
	event->cpu = READ_ONCE(pmu->cpu);
	return err;
}

/* What the event's counter stands at; false while that cannot be known. */
static bool mx_event_value(struct perf_event *event, u64 *value)
{
	struct mx_pmu *pmu = to_mx_pmu(event->pmu);
	unsigned long flags;
	bool known = false;
	int idx;

	raw_spin_lock_irqsave(&pmu->lock, flags);
	if (pmu->mx && pmu->epoch == event->hw.config && mx_enter(pmu->mx, &idx)) {
		*value = mx_read_counter(pmu->mx, event->hw.config_base);
		known = true;
		mx_exit(pmu->mx, idx);
	}
	raw_spin_unlock_irqrestore(&pmu->lock, flags);
	return known;
}

/* Counters go on through a reset of the chip, so what it hides is seen later. */
static void mx_event_read(struct perf_event *event)
{
	u64 now, before;

	if (!mx_event_value(event, &now))
		return;
	before = local64_xchg(&event->hw.prev_count, now);
	if (before != MX_UNKNOWN)
		local64_add(now - before, &event->count);
}

static void mx_event_start(struct perf_event *event, int flags)
{
	u64 now = MX_UNKNOWN;

	mx_event_value(event, &now);
	local64_set(&event->hw.prev_count, now);
	event->hw.state = 0;
}

static void mx_event_stop(struct perf_event *event, int flags)
{
	if (event->hw.state & PERF_HES_STOPPED)
		return;
	if (flags & PERF_EF_UPDATE)
		mx_event_read(event);
	event->hw.state = PERF_HES_STOPPED | PERF_HES_UPTODATE;
}

static int mx_event_add(struct perf_event *event, int flags)
{
	event->hw.state = PERF_HES_STOPPED | PERF_HES_UPTODATE;
	if (flags & PERF_EF_START)
		mx_event_start(event, flags);
	return 0;
}

static void mx_event_del(struct perf_event *event, int flags)
{
	mx_event_stop(event, PERF_EF_UPDATE);
}

/* -------------------------------------------------------------- lifetimes */

static struct mx_pmu *mx_pmu_create(const char *name)
{
	struct mx_pmu *pmu;

	pmu = kzalloc(sizeof(*pmu), GFP_KERNEL);
	if (!pmu)
		return NULL;
	strscpy(pmu->name, name, sizeof(pmu->name));
	raw_spin_lock_init(&pmu->lock);
	pmu->cpu = cpumask_first(cpu_online_mask);
	pmu->pmu = (struct pmu) {
		.module		= THIS_MODULE,
		.task_ctx_nr	= perf_invalid_context,
		.capabilities	= PERF_PMU_CAP_NO_EXCLUDE | PERF_PMU_CAP_NO_INTERRUPT,
		.attr_groups	= mx_pmu_groups,
		.event_init	= mx_event_init,
		.add		= mx_event_add,
		.del		= mx_event_del,
		.start		= mx_event_start,
		.stop		= mx_event_stop,
		.read		= mx_event_read,
	};
	if (perf_pmu_register(&pmu->pmu, pmu->name, -1)) {
		kfree(pmu);
		return NULL;
	}
	cpuhp_state_add_instance(mx_pmu_hotplug, &pmu->node);
	return pmu;
}

/* The device can be counted from now on; without perf it works as well. */
void mx_pmu_add(struct mx_dev *mx)
{
	struct mx_pmu *pmu = mx_pmus[mx->id];
	unsigned long flags;

	if (!pmu) {
		pmu = mx_pmu_create(dev_name(&mx->dev));
		mx_pmus[mx->id] = pmu;
	}
	if (!pmu) {
		dev_warn(&mx->dev, "cannot register with perf\n");
		return;
	}
	raw_spin_lock_irqsave(&pmu->lock, flags);
	pmu->mx = mx;
	pmu->epoch++;
	raw_spin_unlock_irqrestore(&pmu->lock, flags);
}

/* Nothing of perf touches the device any more; before its number is given up. */
void mx_pmu_remove(struct mx_dev *mx)
{
	struct mx_pmu *pmu = mx_pmus[mx->id];
	unsigned long flags;

	if (!pmu)
		return;
	raw_spin_lock_irqsave(&pmu->lock, flags);
	pmu->mx = NULL;
	raw_spin_unlock_irqrestore(&pmu->lock, flags);
}

/* The events of a processor that goes offline move to another. */
static int mx_pmu_cpu_offline(unsigned int cpu, struct hlist_node *node)
{
	struct mx_pmu *pmu = hlist_entry(node, struct mx_pmu, node);
	unsigned int target;

	if (cpu != pmu->cpu)
		return 0;
	target = cpumask_any_but(cpu_online_mask, cpu);
	if (target >= nr_cpu_ids)
		return 0;
	perf_pmu_migrate_context(&pmu->pmu, cpu, target);
	WRITE_ONCE(pmu->cpu, target);
	return 0;
}

int mx_pmu_init(void)
{
	int state;

	state = cpuhp_setup_state_multi(CPUHP_AP_ONLINE_DYN, "perf/mxaccel:online", NULL,
					mx_pmu_cpu_offline);
	if (state < 0)
		return state;
	mx_pmu_hotplug = state;
	return 0;
}

/* The module's last reference has gone, and with it every event. */
void mx_pmu_exit(void)
{
	unsigned int i;

	for (i = 0; i < MX_MINORS; i++) {
		if (!mx_pmus[i])
			continue;
		cpuhp_state_remove_instance(mx_pmu_hotplug, &mx_pmus[i]->node);
		perf_pmu_unregister(&mx_pmus[i]->pmu);
		kfree(mx_pmus[i]);
		mx_pmus[i] = NULL;
	}
	cpuhp_remove_multi_state(mx_pmu_hotplug);
}
