# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is varied. Everything else is as in the chip file that the study is made on."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """A value of an axis: its name, the keys it sets, options of the device."""

    label: str
    sets: tuple = ()
    device: tuple = ()

    def plus(self, other):
        return Setting(f"{self.label}, {other.label}" if other.label else self.label,
                       self.sets + other.sets, self.device + other.device)


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
    """

    name: str
    title: str
    axis: str
    points: tuple
    series: tuple = (Setting(""),)
    slow: bool = False
    seeded: bool = False
    planes: tuple = (1,)

    def keys(self):
        """Names of the keys that it sets."""
        return sorted({one.split("=")[0] for setting in self.points + self.series
                       for one in setting.sets})

    def cut(self):
        """Its two ends, for a quick look."""
        return Sweep(self.name, self.title, self.axis, (self.points[0], self.points[-1]),
                     self.series[:1], self.slow, self.seeded, self.planes[:1])


def along(key, *values, **fixed):
    """A setting of @key for each value, with further keys: along("large.adc_bits", 3, 4)."""
    more = tuple(f"{name.replace('__', '.')}={value}" for name, value in fixed.items())
    return tuple(Setting(f"{value:g}" if isinstance(value, float) else str(value),
                         (f"{key}={value}",) + more) for value in values)


def named(form, settings):
    return tuple(Setting(form.format(one.label), one.sets, one.device) for one in settings)


MAPPINGS = along("analog.mapping", "differential", "offset")
LEVELS = " (share of the highest level)"

SWEEPS = (
    Sweep("adc-bits", "ADC bits, and counts to a step", "ADC bits",
          along("large.adc_bits", 9, 8, 7, 6, 5, 4, 3),
          named("counts to a step: {}", (Setting("1", ("analog.adc_step=1",)),
                                          Setting("2", ("analog.adc_step=2",)),
                                          Setting("4", ("analog.adc_step=4",))))),
    Sweep("planes", "ADC bits with one and two planes of activations", "ADC bits",
          along("large.adc_bits", 9, 8, 7, 6, 5, 4, 3), planes=(1, 2)),
    Sweep("rows", "Rows in one conversion", "rows active",
          tuple(Setting(str(rows), (f"analog.rows_active={rows}",)) for rows in (16, 32, 64))
          + (Setting("128"),),
          named("{}-bit ADC", along("large.adc_bits", 6, 5, 4))),
    Sweep("cell-bits", "Bits of a cell", "bits of a cell", along("large.cell_bits", 1, 2, 4),
          named("{}-bit ADC", along("large.adc_bits", 10, 8, 6))),
    Sweep("dac-bits", "Bits of an input step", "bits of a step", along("large.dac_bits", 1, 2, 4),
          named("{}-bit ADC", along("large.adc_bits", 10, 8, 6))),
    Sweep("mapping", "Mapping of signed weights", "ADC bits",
          along("large.adc_bits", 9, 8, 7, 6, 5, 4), MAPPINGS),
    Sweep("input", "Coding of signed inputs", "ADC bits", along("large.adc_bits", 8, 7, 6, 5, 4),
          along("analog.input", "twos_complement", "sign_magnitude", "unsigned")),
    Sweep("input-step", "Coding of signed inputs, and counts to a step", "counts to a step",
          along("analog.adc_step", 1, 2, 4),
          along("analog.input", "twos_complement", "sign_magnitude", "unsigned")),
    Sweep("on-off", "Finite on/off ratio", "ratio of the highest to the lowest conductance",
          along("analog.on_off_ratio", 1000, 100, 20, 5, 2), MAPPINGS, slow=True),
    Sweep("program-sigma", "Programming error, the same for every level",
          "standard deviation" + LEVELS,
          along("analog.program_sigma", 0.005, 0.01, 0.02, 0.05), MAPPINGS, seeded=True),
    Sweep("program-sigma-prop", "Programming error, proportional to the conductance",
          "standard deviation (share of the conductance)",
          along("analog.program_sigma_prop", 0.03, 0.1, 0.3), MAPPINGS, seeded=True),
    Sweep("stuck-at-0", "Cells stuck at the lowest conductance", "share of cells",
          along("analog.stuck_at_0", 0.001, 0.01, 0.1), seeded=True),
    Sweep("stuck-at-1", "Cells stuck at the highest conductance", "share of cells",
          along("analog.stuck_at_1", 0.0001, 0.001, 0.01), seeded=True),
    Sweep("read-noise", "Read noise", "standard deviation" + LEVELS,
          along("analog.read_sigma", 0.005, 0.01, 0.02, 0.05), seeded=True),
    Sweep("telegraph", "Random telegraph noise", "share of the conductance that is lost",
          along("analog.rtn_amplitude", 0.05, 0.25),
          named("{} of the cells", along("analog.rtn_share", 0.05, 0.5)), seeded=True),
)


def offered(sweeps, keys):
    """The sweeps whose keys of [analog] a chip has, and the others."""
    def there(sweep):
        return all(key in keys for key in sweep.keys())
    return [one for one in sweeps if there(one)], [one for one in sweeps if not there(one)]


# Not effects: how sums are converted, in any of the sweeps or by calibration.
NOT_SWEPT = ("analog.adc_range", "analog.adc_tie", "analog.adc_step")


def without_sweep(sweeps, keys):
    """Keys of [analog] that no sweep varies, so that a new effect is not overlooked."""
    used = {key for sweep in sweeps for key in sweep.keys()}
    return sorted(key for key in keys if key.startswith("analog.") and key not in used
                  and not key.startswith(NOT_SWEPT))
