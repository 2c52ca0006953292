# SPDX-License-Identifier: LGPL-2.1-or-later
"""Settings of a chip and of the mapper, and sweeps over them."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Setting:
    """
    A value of an axis.

    @label:	its name
    @sets:	keys of the chip file: "section.key=value"; without a value the key is left out
    @device:	options of the device: "age=3600"
    @mapping:	options of mxmap: "--smooth=0.5"
    @at:	its place on an axis that is logarithmic
    """

    label: str
    sets: tuple = ()
    device: tuple = ()
    mapping: tuple = ()
    at: float = None

    def plus(self, other, label=None):
        both = f"{self.label}, {other.label}" if self.label and other.label else \
            self.label or other.label
        return Setting(both if label is None else label, self.sets + other.sets,
                       self.device + other.device, self.mapping + other.mapping)

    @property
    def calibrated(self):
        """Whether the image brings the steps of the converters."""
        ranges = [one for one in self.sets if one.startswith("analog.adc_range=")]
        return bool(ranges) and ranges[-1].endswith("=calibrated")


@dataclass(frozen=True)
class Sweep:
    """
    @title:	of the table and the picture
    @axis:	what @points vary
    @points:	along the picture's x
    @series:	its lines
    @slow:	run on the first test sentences only
    @seeded:	differs from chip to chip: run with several seeds; slow, too
    @planes:	of activations: images that are run
    @chip:	that it is about; none: the study's
    @base:	what all its runs have in common
    @note:	about that, for the table
    @log:	the picture's x is logarithmic
    """

    name: str
    title: str
    axis: str
    points: tuple
    series: tuple = (Setting(""),)
    slow: bool = False
    seeded: bool = False
    planes: tuple = (1,)
    chip: str = ""
    base: Setting = Setting("")
    note: str = ""
    log: bool = False

    def keys(self):
        """Names of the keys that it sets."""
        return sorted({one.split("=")[0] for setting in (*self.points, *self.series, self.base)
                       for one in setting.sets})

    def cut(self):
        """Its ends, for a quick look: points, lines, planes."""
        return replace(self, points=ends(self.points), series=ends(self.series),
                       planes=self.planes[:1])


def ends(items):
    return items if len(items) < 3 else (items[0], items[-1])


def along(key, *values):
    """A setting of @key for each value: along("large.adc_bits", 3, 4)."""
    return tuple(Setting(f"{value:g}" if isinstance(value, float) else str(value),
                         (f"{key}={value}",), at=value) for value in values)


def named(form, settings):
    return tuple(replace(one, label=form.format(one.label)) for one in settings)


def analog(label, **keys):
    """A setting of [analog]: analog("offset", mapping="offset")."""
    return Setting(label, tuple(f"analog.{key}={value}" for key, value in keys.items()))


TWOS = analog("two's complement", input="twos_complement")
SIGN = analog("sign and magnitude", input="sign_magnitude")
CALIBRATED = analog("calibrated", adc_range="calibrated", adc_step="")
