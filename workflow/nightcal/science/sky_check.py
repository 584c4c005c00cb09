"""Look at the sky of a calibrated frame: its scatter against its own uncertainty, and its level against zero.

Most things that go wrong with a calibration show here, whatever the header says: a wrong gain, a second calibration, a
bias level that was not subtracted, a sum of several exposures, the pixels of a colour camera.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from nightcal.detector.readout import Readout
from nightcal.flags import Flag
from nightcal.io.keywords import set_cards, warn
from nightcal.io.raw_header import RawHeader
from nightcal.masters.overscan_light import warn_of_light_in_overscan
from nightcal.numerics.robust import RSTD
from nightcal.science.arithmetic import CalibratedRows
from nightcal.science.prepared_frame import PreparedFrame
from nightcal.warning_names import name_warning

PIXELS = 2**15
"""Pixels to look at, enough to know the scatter to a percent."""

HEIGHT, WIDTH = 8, 256
"""Rows and columns of a block."""

QUIETER = 25
"""Percentile of the blocks: stars and nebulae widen the scatter of the others."""

USUAL_SCATTER = (0.85, 1.22)
"""Scatter over uncertainty; 0.94 to 1.17 in good frames of three telescopes, among them a crowded globular cluster."""

SIGNIFICANT = 5.0
SMALLEST_ERROR = 0.2
"""Of a level [e-]: structure of the bias and rounding are never known better."""

DEEP = 20.0
"""Pixels so many times their uncertainty below zero hold no measurement."""

MOST_DEEP = 5

DARK_ERROR = 0.05
"""Of a dark current, as a fraction: half a degree of temperature."""

EQUAL_PIXELS = name_warning("no scatter", "neighbouring pixels of the sky are equal: not a raw frame of a CCD")

CLUES = {
    "a colour mosaic": ("BAYERPAT", "COLORTYP", "CFATYPE", "CFA-PAT", "XBAYROFF"),
    "calibrated before": ("CALSTAT", "BIASCOR", "ZEROCOR", "DARKCOR", "FLATCOR", "OVERSCAN", "L1STATBI", "PROCTYPE"),
    "several exposures in one": ("NSUBREAD", "NCOMBINE", "STACKCNT", "SNAPSHOT", "NCOADD", "COADDS", "NEXP", "NSTACK"),
    "another gain": ("GAIN", "EGAIN"),
}
"""Keywords to look at, by what may be wrong."""


@dataclass(frozen=True, slots=True)
class Sky:
    """The sky of a frame, in the unit of its image.

    Attributes
    ----------
    level : float
        Median of the unmasked pixels.
    uncertainty : float
        Median of their uncertainties.
    scatter : float
        Scatter between neighbouring pixels over the one expected from their uncertainties, in the quieter blocks; NaN
        if too few pixels are known.
    pixels : int
        Number of unmasked pixels.
    deep : int
        Number of those that lie far below zero.
    """

    level: float
    uncertainty: float
    scatter: float
    pixels: int
    deep: int = 0


def check_sky(prepared: PreparedFrame, raw: RawHeader) -> None:
    """Note the scatter of the sky in the header of a product, and warn of what is wrong.

    Parameters
    ----------
    prepared : PreparedFrame
        Some of its rows are calibrated; its header is changed.
    raw : RawHeader
        Of the raw frame, whose keywords may explain what is wrong.

    Raises
    ------
    FrameRejectedError
        If the pixels cannot be read.
    """
    rows = choose_rows(prepared.readout.shape)
    sky = measure_sky(prepared.sample_rows(rows))
    if sky is None or math.isnan(sky.scatter):
        warn(prepared.header, _explain_no_sky(prepared.readout, rows))
    if sky is None:
        return
    if math.isfinite(sky.scatter):
        set_cards(prepared.header, {"SKYRATIO": float(f"{sky.scatter:.4g}")})
    for text in describe_sky(sky, raw, _find_level_error(prepared)):
        warn(prepared.header, text)
    readout = prepared.readout
    signal = sky.level if prepared.unit == "electron" else sky.level * readout.gain
    bias = prepared.masters.masters["bias"]
    warn_of_light_in_overscan(prepared.header, readout, readout.mean_overscan_level, bias, signal)


def _explain_no_sky(readout: Readout, rows: Sequence[slice]) -> str:
    """Explain why few or no pixels of a frame are good."""
    electrons, flags = readout.rows(rows[0].start, rows[0].stop)
    if np.ptp(electrons) == 0 and readout.saturation_source == "pixels":
        return EQUAL_PIXELS
    saturated = np.count_nonzero(flags & Flag.SATURATED) / flags.size
    found = f"{100 * saturated:.0f} percent of them are saturated, at {readout.saturation:g} ADU or more"
    return name_warning("many flagged pixels", f"most pixels of the sky are flagged; {found}")


def _find_level_error(prepared: PreparedFrame) -> float:
    """Find the error of the level of bias and dark that all pixels share [unit of the image]."""
    bias, dark = (prepared.masters.masters[step] for step in ("bias", "dark"))
    drift = 0.0 if bias is None else float(bias.header.get("BIASDRFT", 0.0))
    current = 0.0 if dark is None else float(dark.header.get("DARKCURR", 0.0))
    in_electrons = math.hypot(SMALLEST_ERROR, drift, DARK_ERROR * current * prepared.exposure_time)
    return in_electrons if prepared.unit == "electron" else in_electrons / prepared.readout.gain


def choose_rows(shape: tuple[int, int]) -> list[slice]:
    """Choose strips of rows, spread evenly over a frame."""
    ny, nx = shape
    height = min(HEIGHT, ny)
    number = max(1, min(ny // height, ceil(PIXELS / (nx * height))))
    return [slice(start, start + height) for start in np.linspace(0, ny - height, number).astype(int).tolist()]


def measure_sky(strips: Iterable[CalibratedRows]) -> Sky | None:
    """Measure the sky in some rows of a calibrated frame.

    Parameters
    ----------
    strips : iterable of CalibratedRows

    Returns
    -------
    Sky or None
        None if every pixel is masked.
    """
    levels, uncertainties, scatters = [], [], []
    for rows in strips:
        known = rows.mask == 0
        levels.append(rows.data[known])
        uncertainties.append(rows.uncertainty[known])
        scatters += _measure_blocks(rows, known)
    level, uncertainty = np.concatenate(levels), np.concatenate(uncertainties)
    if level.size == 0:
        return None
    scatter = float(np.percentile(scatters, QUIETER)) if scatters else math.nan
    deep = int(np.count_nonzero(level < -DEEP * uncertainty))
    return Sky(float(np.median(level)), float(np.median(uncertainty)), scatter, level.size, deep)


def _measure_blocks(rows: CalibratedRows, known: NDArray[np.bool_]) -> list[float]:
    """Measure the scatter between neighbours in each block, relative to their uncertainties."""
    pairs = known[:, 1:] & known[:, :-1]
    variance = rows.uncertainty**2
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = (rows.data[:, 1:] - rows.data[:, :-1]) / np.sqrt(variance[:, 1:] + variance[:, :-1])
    pairs &= np.isfinite(steps)
    found = []
    for start in range(0, max(1, steps.shape[1] - WIDTH // 2), WIDTH):
        block = slice(start, start + WIDTH)
        values = steps[:, block][pairs[:, block]]
        if 2 * values.size > pairs[:, block].size:
            found.append(RSTD * float(np.median(np.abs(values - np.median(values)))))
    return found


def describe_sky(sky: Sky, header: RawHeader, error: float) -> list[str]:
    """Say what is wrong with the sky of a frame.

    Parameters
    ----------
    sky : Sky
    header : RawHeader
        Of the raw frame, whose keywords may explain it.
    error : float
        Of the level of bias and dark [unit of the image].

    Returns
    -------
    list of str
        Warnings; empty if nothing is wrong.
    """
    found = []
    low, high = USUAL_SCATTER
    if sky.scatter == 0:
        found.append(EQUAL_PIXELS)
    elif not low < sky.scatter < high and math.isfinite(sky.scatter):
        text = f"the sky scatters {sky.scatter:.2f} times as much as its uncertainty says ({low} to {high} is usual)"
        found.append(name_warning("sky scatter", f"{text}: {_list_clues(header, sky.scatter < 1)}"))
    error = math.hypot(error, sky.uncertainty / math.sqrt(sky.pixels))
    if sky.level < -SIGNIFICANT * error:
        text = f"the median of the sky is {sky.level:.4g}, its error {error:.2g}"
        cause = "bias or dark has too high a level (gain, offset, temperature), or the frame was calibrated before"
        found.append(name_warning("negative sky", f"{text}: {cause}"))
    elif sky.deep > MOST_DEEP:
        text = f"{sky.deep} of {sky.pixels} pixels of the sky are more than {DEEP:g} times their uncertainty below zero"
        cause = "a value that stands for no data (BLANK = it), lost rows or columns, or a bad master?"
        found.append(name_warning("pixels below zero", f"{text}: {cause}"))
    return found


def _list_clues(header: RawHeader, is_quiet: bool) -> str:
    """List what may be wrong, with the keywords that speak for it."""
    quiet, loud = "a bias level left in the image, or a master with large errors", "a master of another setting"
    causes = ["a step that was skipped", quiet if is_quiet else loud]
    for cause, names in CLUES.items():
        cards = [f"{name} = {value}" for name in names if (value := header.find(name)) is not None]
        if cards or cause in ("another gain", "calibrated before"):
            causes.append(f"{cause} ({', '.join(cards)})" if cards else cause)
    return "; ".join(causes) + "?"
