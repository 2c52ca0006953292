// SPDX-License-Identifier: GPL-2.0-only
/*
 * hwmon: energies of the chip's components, and the mean power, from its
 * energy counters. The chip has no other sensors.
 */
#include <linux/hwmon.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/slab.h>

#include "mxaccel_drv.h"

#define MX_FJ_PER_UJ		1000000000ULL
#define MX_POWER_INTERVAL_MS	1000U	/* power is a mean over at least this */
#define MX_POWER_INTERVAL_MAX	3600000L

/**
 * struct mx_hwmon - the sensors of a device
 * @mx:		device
 * @hwmon:	class device
 * @lock:	protects the rest
 * @interval_ms: shortest time that @power is the mean of
 * @at:		when @energy was read
 * @energy:	in femtojoules
 * @power:	mean before @at, in microwatts
 */
struct mx_hwmon {
	struct mx_dev *mx;
	struct device *hwmon;
	struct mutex lock;
	unsigned int interval_ms;
	ktime_t at;
	u64 energy;
	u64 power;
};

/* Channel 0 is the sum, the others the components, in the order of the counters. */
static const struct {
	unsigned int counter;
	const char *name;
} mx_energies[] = {
	{ 0, "total" },
#define MX_ENERGY(which, name) { MXACCEL_CTR_ENERGY_##which, name }
	MX_ENERGY(ADC, "adc"),
	MX_ENERGY(ADC_IDLE, "adc_idle"),
	MX_ENERGY(DAC, "dac"),
	MX_ENERGY(ARRAY, "array"),
	MX_ENERGY(SHIFT_ADD, "shift_add"),
	MX_ENERGY(REGISTER, "register"),
	MX_ENERGY(REDUCE, "reduce"),
	MX_ENERGY(NOC, "noc"),
	MX_ENERGY(BUFFER, "buffer"),
	MX_ENERGY(BANK, "bank"),
	MX_ENERGY(FABRIC, "fabric"),
	MX_ENERGY(SMALL, "small"),
	MX_ENERGY(SOFTMAX, "softmax"),
	MX_ENERGY(NORM, "norm"),
	MX_ENERGY(ACT, "act"),
	MX_ENERGY(REQUANT, "requant"),
	MX_ENERGY(WRITE, "write"),
	MX_ENERGY(HOST, "host"),
	MX_ENERGY(OFFCHIP, "offchip"),
	MX_ENERGY(COMPANION, "companion"),
	MX_ENERGY(STATIC, "static"),
#undef MX_ENERGY
};

static_assert(ARRAY_SIZE(mx_energies) - 1 ==
	      MXACCEL_CTR_ENERGY_STATIC - MXACCEL_CTR_ENERGY_ADC + 1);

/* Energy of a channel in femtojoules. */
static int mx_energy(struct mx_dev *mx, unsigned int channel, u64 *energy)
{
	u64 *values;
	int idx, err;
	size_t i;

	values = kmalloc(MXACCEL_PAGE, GFP_KERNEL);
	if (!values)
		return -ENOMEM;
	err = -ENODEV;
	if (mx_enter(mx, &idx)) {
		err = mx_read_counters(mx, MXACCEL_SCOPE_DEVICE, 0, 0, values);
		mx_exit(mx, idx);
	}
	*energy = 0;
	for (i = 1; !err && i < ARRAY_SIZE(mx_energies); i++)
		if ((!channel || channel == i) && mx_energies[i].counter < mx->nr_counters)
			*energy += values[mx_energies[i].counter];
	kfree(values);
	return err;
}

static int mx_power(struct mx_hwmon *sensors, u64 *power)
{
	ktime_t now;
	u64 energy, ns;
	int err;

	mutex_lock(&sensors->lock);
	now = ktime_get();
	ns = ktime_to_ns(ktime_sub(now, sensors->at));
	err = 0;
	if (ns >= (u64)sensors->interval_ms * NSEC_PER_MSEC) {
		err = mx_energy(sensors->mx, 0, &energy);
		if (!err) {
			/* fJ / ns is uW */
			sensors->power = div64_u64(energy - sensors->energy, max(ns, 1ULL));
			sensors->energy = energy;
			sensors->at = now;
		}
	}
	*power = sensors->power;
	mutex_unlock(&sensors->lock);
	return err;
}

static umode_t mx_hwmon_visible(const void *data, enum hwmon_sensor_types type, u32 attr,
				int channel)
{
	return type == hwmon_power && attr == hwmon_power_average_interval ? 0644 : 0444;
}

static int mx_hwmon_read(struct device *dev, enum hwmon_sensor_types type, u32 attr, int channel,
			 long *value)
{
	struct mx_hwmon *sensors = dev_get_drvdata(dev);
	u64 got = 0;
	int err = 0;

	if (type == hwmon_energy) {
		err = mx_energy(sensors->mx, channel, &got);
		got = div64_u64(got, MX_FJ_PER_UJ);
	} else if (attr == hwmon_power_average_interval) {
		got = READ_ONCE(sensors->interval_ms);
	} else {
		err = mx_power(sensors, &got);
	}
	*value = min_t(u64, got, LONG_MAX);
	return err;
}

static int mx_hwmon_read_string(struct device *dev, enum hwmon_sensor_types type, u32 attr,
				int channel, const char **text)
{
	*text = type == hwmon_energy ? mx_energies[channel].name : "total";
	return 0;
}

static int mx_hwmon_write(struct device *dev, enum hwmon_sensor_types type, u32 attr, int channel,
			  long value)
{
	struct mx_hwmon *sensors = dev_get_drvdata(dev);

	mutex_lock(&sensors->lock);
	sensors->interval_ms = clamp(value, 1L, MX_POWER_INTERVAL_MAX);
	mutex_unlock(&sensors->lock);
	return 0;
}

static const struct hwmon_ops mx_hwmon_ops = {
	.is_visible	= mx_hwmon_visible,
	.read		= mx_hwmon_read,
	.read_string	= mx_hwmon_read_string,
	.write		= mx_hwmon_write,
};

static const u32 mx_power_config[] = {
	HWMON_P_AVERAGE | HWMON_P_AVERAGE_INTERVAL | HWMON_P_LABEL,
	0
};

/* One more, for the zero at the end */
static const u32 mx_energy_config[ARRAY_SIZE(mx_energies) + 1] = {
	[0 ... ARRAY_SIZE(mx_energies) - 1] = HWMON_E_INPUT | HWMON_E_LABEL,
};

static const struct hwmon_channel_info mx_power_channel = {
	.type = hwmon_power,
	.config = mx_power_config,
};

static const struct hwmon_channel_info mx_energy_channel = {
	.type = hwmon_energy,
	.config = mx_energy_config,
};

/* Linux 6.1 and 6.12 differ in which of the two is const. */
static const struct hwmon_channel_info *mx_channels[] = {
	&mx_power_channel,
	&mx_energy_channel,
	NULL
};

static const struct hwmon_chip_info mx_hwmon_chip = {
	.ops = &mx_hwmon_ops,
	.info = mx_channels,
};

/* Without its sensors a device works as well. */
void mx_hwmon_add(struct mx_dev *mx)
{
	struct mx_hwmon *sensors;

	sensors = kzalloc(sizeof(*sensors), GFP_KERNEL);
	if (!sensors)
		return;
	sensors->mx = mx;
	mutex_init(&sensors->lock);
	sensors->interval_ms = MX_POWER_INTERVAL_MS;
	sensors->at = ktime_get();
	mx_energy(mx, 0, &sensors->energy);
	sensors->hwmon = hwmon_device_register_with_info(&mx->pdev->dev, MX_NAME, sensors,
							 &mx_hwmon_chip, NULL);
	if (IS_ERR(sensors->hwmon)) {
		dev_warn(&mx->dev, "cannot register with hwmon: %ld\n", PTR_ERR(sensors->hwmon));
		kfree(sensors);
		return;
	}
	mx->hwmon = sensors;
}

/* Waits for readers; the device is not live any more, so they end soon. */
void mx_hwmon_remove(struct mx_dev *mx)
{
	struct mx_hwmon *sensors = mx->hwmon;

	if (!sensors)
		return;
	hwmon_device_unregister(sensors->hwmon);
	mx->hwmon = NULL;
	kfree(sensors);
}
