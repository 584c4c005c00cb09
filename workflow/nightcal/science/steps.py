"""List the steps of a science frame in their order.

Steps up to ``bpm`` run in one pass over the rows of a frame; steps from ``fringe`` on run one by one on the whole
frame. The schema of the configuration and the tables of the manual are made from this list. A new measurement is one
file in ``nightcal/measurement``, with options, keywords and function, and one line here; run
``python docs/make_tables.py`` afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from nightcal.errors import ConfigurationError
from nightcal.io.keyword import Keyword
from nightcal.io.keyword_registry import KEYWORDS
from nightcal.io.options import Options
from nightcal.measurement.options import (
    AstrometryOptions,
    CosmicRayOptions,
    PhotometryOptions,
    SourceOptions,
    TrailOptions,
)

if TYPE_CHECKING:
    from nightcal.measurement.frame import MeasuredFrame, Values


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a science frame.

    Attributes
    ----------
    name : str
        As in the configuration.
    summary : str
        For the manual.
    function : str
        Full name of its function, imported when the step runs, to keep planning quick. The function of a measurement
        takes a frame and options, changes the frame in place, and returns values by keyword of the header.
    options : type of Options or None
        None for a step without options.
    """

    name: str
    summary: str
    function: str
    options: type[Options] | None = None

    @property
    def keywords(self) -> tuple[Keyword, ...]:
        """Keywords that the step writes."""
        keywords = () if self.options is None else self.options.keywords
        return keywords or KEYWORDS.get(self.name, ())

    def run(self, frame: MeasuredFrame, options: Options) -> Values:
        """Measure a frame."""
        module, _, name = self.function.rpartition(".")
        values: Values = getattr(import_module(module), name)(frame, options)
        return values


DETECTOR, ROWS, MEASURE = "nightcal.detector", "nightcal.science.arithmetic.calibrate_rows", "nightcal.measurement"

STEPS = (
    Step("saturation", "flag saturated pixels", f"{DETECTOR}.saturation.flag_raw"),
    Step("overscan", "subtract the overscan level", f"{DETECTOR}.overscan.OverscanMethods"),
    Step("crosstalk", "remove crosstalk between amplifiers", f"{DETECTOR}.crosstalk.read_together"),
    Step("linearity", "correct for non-linearity", f"{DETECTOR}.linearity.linearise"),
    Step("gain", "multiply by the gain", f"{DETECTOR}.amplifier_readout.AmplifierReadout"),
    Step("mosaic", "assemble the amplifiers", f"{DETECTOR}.mosaic_readout"),
    Step("trim", "cut out the light-sensitive area", f"{DETECTOR}.readout.Readout"),
    Step("bias", "subtract the master bias", ROWS),
    Step("dark", "subtract the master dark, times the exposure time", ROWS),
    Step("flat", "divide by the master flat", ROWS),
    Step("bpm", "add the bad pixel mask", ROWS),
    Step("fringe", "subtract fringes, in filters that are asked for", f"{MEASURE}.fringe.subtract_fringes"),
    Step("trails", "flag trails of satellites and aeroplanes", f"{MEASURE}.trails.step.flag_trails", TrailOptions),
    Step("cosmic_rays", "flag cosmic rays", f"{MEASURE}.cosmic_rays.flag_cosmic_rays", CosmicRayOptions),
    Step("sources", "find and measure sources", f"{MEASURE}.sources.step.measure_sources", SourceOptions),
    Step("astrometry", "match stars, write a WCS", f"{MEASURE}.astrometry.step.solve_frame", AstrometryOptions),
    Step("photometry", "fit the zero point", f"{MEASURE}.photometry.step.measure_zero_point", PhotometryOptions),
)

MEASUREMENTS = {step.name: step for step in STEPS if step.options is not None}
"""Steps with a section in the configuration, by name."""


def read_options(sections: Mapping[str, Mapping[str, Any]]) -> dict[str, Options]:
    """Read the options of measurements from sections of the configuration.

    Parameters
    ----------
    sections : mapping of str to mapping
        Options by step, without ``enabled``.

    Returns
    -------
    dict of str to Options
        In the order of the steps.

    Raises
    ------
    ConfigurationError
        If a step, a key or a value is wrong.
    """
    if unknown := sorted(set(sections) - set(MEASUREMENTS)):
        raise ConfigurationError(f"unknown step {unknown[0]}; expected one of {', '.join(MEASUREMENTS)}.")
    known = {name: step.options for name, step in MEASUREMENTS.items() if step.options is not None}
    return {name: options.read(sections[name]) for name, options in known.items() if name in sections}
