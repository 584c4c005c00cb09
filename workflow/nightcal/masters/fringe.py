"""Make a fringe frame from the calibrated science frames of a night, in one setup and filter."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from nightcal.errors import FrameRejectedError
from nightcal.flags import MASK_DTYPE, Flag
from nightcal.io.keywords import list_mean_time, set_cards
from nightcal.io.master import MasterFrame, load_master
from nightcal.io.product import Product
from nightcal.io.provenance import record_provenance
from nightcal.io.verdict import Outcome
from nightcal.masters.common import USUAL_REJECTION, Rejection, make_empty_master
from nightcal.masters.doubts import note_doubt
from nightcal.masters.fringe_agreement import Agreement, compare_halves
from nightcal.masters.keywords import list_inputs, list_rejected
from nightcal.measurement.fringe import fit_fringes, measure_residual
from nightcal.numerics.sphere import unit_vectors
from nightcal.stacking.stack import Stack, StackInput, stack

log = logging.getLogger(__name__)

FEWEST_POINTINGS = 5
"""Pointings that a fringe frame needs: a star must be in the minority in each pixel."""

DITHER = 10.0
"""Frames closer together than this are of one pointing [arcsec]."""

FEWEST_VALUES = 3
"""Frames that must be left in a pixel, without sources, for its fringes to be known."""

NOISIEST = 3.0
"""Frames have equal weights; one whose variance is above the typical one by this factor would only add noise."""

Image = NDArray[np.float32]
Pointing = tuple[float, float] | None


def make_fringe(
    paths: Sequence[Path],
    pointings: Sequence[Pointing],
    rejection: Rejection = USUAL_REJECTION,
    threads: int = 1,
) -> Product:
    """Make a fringe frame: the clipped mean of the sky of science frames, each divided by its level.

    Parameters
    ----------
    paths : sequence of Path
        Calibrated science frames of one setup and filter, from which no fringes were subtracted.
    pointings : sequence of (float, float) or None
        Right ascension and declination of each [deg]; None if unknown.
    rejection : Rejection
    threads : int

    Returns
    -------
    Product
        A fraction of the sky, 0 on average. Empty, with the reason in its header, if too few frames can be used.
    """
    loaded = [load_master(path) for path in paths]
    first = next((frame for frame in loaded if not frame.why_empty), None)
    try:
        product = _stack_frames(loaded, pointings, rejection, threads)
    except FrameRejectedError as reason:
        log.warning("fringe frame: %s.", reason)
        product = make_empty_master("fringe", (1, 1), str(reason))
    if first is not None:
        copied = (card for card in ("NIGHT", "FILTER", "ROWORDER") if card in first.header)
        product.header.update({card: first.header[card] for card in copied})
    limits = {"stack_sigma": rejection.stack_sigma, "floor": rejection.floor, "dither": DITHER}
    record_provenance(product.header, limits | {"frames": [frame.digest for frame in loaded]})
    return product


def choose_dithered(pointings: Sequence[Pointing]) -> list[int]:
    """Choose frames among whose pointings none prevails, so that no star remains in their stack.

    Parameters
    ----------
    pointings : sequence of (float, float) or None
        Right ascension and declination [deg]; frames of unknown pointing are not used.

    Returns
    -------
    list of int
        Of each pointing, at most as many frames as the typical pointing has.

    Raises
    ------
    FrameRejectedError
        If there are fewer than five pointings.
    """
    groups: list[list[int]] = []
    vectors = {n: unit_vectors(*map(np.array, place)) for n, place in enumerate(pointings) if place is not None}
    for n, vector in vectors.items():
        near = (group for group in groups if np.linalg.norm(vectors[group[0]] - vector) < np.radians(DITHER / 3600))
        group = next(near, None)
        if group is None:
            groups.append([n])
        else:
            group.append(n)
    if len(groups) < FEWEST_POINTINGS:
        unknown = len(pointings) - len(vectors)
        text = f"{len(pointings)} frames of {len(groups)} pointings" + (f", {unknown} unknown" if unknown else "")
        raise FrameRejectedError(
            f"{text}; {FEWEST_POINTINGS} that differ by {DITHER:g} arcsec are needed, or stars would remain"
        )
    most = int(np.median([len(group) for group in groups]))
    return sorted(n for group in groups for n in group[:most])


def _stack_frames(
    loaded: Sequence[MasterFrame], pointings: Sequence[Pointing], rejection: Rejection, threads: int
) -> Product:
    """Stack what can be used; with a first fringe frame the sky and the sources of each frame are found anew."""
    reasons = _find_faults(loaded)
    good = [n for n, reason in enumerate(reasons) if not reason]
    chosen = choose_dithered([pointings[n] for n in good])
    frames = [loaded[good[n]] for n in chosen]
    unused = [good[n] for n in range(len(good)) if n not in set(chosen)]
    rejected = [(frame.name, why, frame.mjd) for frame, why in zip(loaded, reasons, strict=True) if why]
    rejected += [(loaded[n].name, "more frames of this pointing than of others", loaded[n].mjd) for n in unused]
    shape = frames[0].data.shape
    if any(frame.data.shape != shape for frame in frames):
        raise FrameRejectedError("the frames differ in size")
    with tempfile.TemporaryFile() as file:  # a night of frames may not fit into memory
        cube = np.memmap(file, np.float32, "w+", shape=(len(frames), *shape))
        known: Stack | None = None
        for _ in range(2):
            inputs = [_normalise(frame, known, cube[n]) for n, frame in enumerate(frames)]
            known = _stack_inputs(inputs, shape, rejection, threads)
        odd, even = (_stack_inputs(inputs[half::2], shape, rejection, threads) for half in (0, 1))
        del cube, inputs
    assert known is not None
    usable = (known.survivors >= FEWEST_VALUES) & (odd.survivors > 0) & (even.survivors > 0)
    if np.count_nonzero(usable) < usable.size / 2:
        raise FrameRejectedError(f"fewer than {FEWEST_VALUES} frames without sources in most pixels")
    agreement = compare_halves(odd.mean, even.mean, usable)
    header = _make_header(frames, known, rejected, agreement)
    return _make_product(known, usable, header)


def _find_faults(loaded: Sequence[MasterFrame]) -> list[str]:
    """Say for each frame why it cannot be used; empty if it can."""
    noises = np.array([np.inf if frame.why_empty else _estimate_noise(frame) for frame in loaded])
    finite = noises[np.isfinite(noises)]
    most = np.sqrt(NOISIEST) * float(np.median(finite)) if len(finite) else 0.0
    return [_find_fault(frame, noise, most) for frame, noise in zip(loaded, noises.tolist(), strict=True)]


def _find_fault(frame: MasterFrame, noise: float, most: float) -> str:
    if frame.why_empty:
        return frame.why_empty
    missing = [step for step in ("bias", "flat") if step in frame.skipped]
    if missing:
        return f"calibrated without {' and '.join(missing)}"
    if noise >= 1:
        return "the sky is fainter than its noise"
    return f"too noisy: {100 * noise:.2g} percent of the sky, more than {100 * most:.2g}" if noise > most else ""


def _estimate_noise(frame: MasterFrame) -> float:
    """Estimate the noise of a pixel, as a fraction of the sky, from a tenth of the rows; infinite without sky."""
    ny = frame.data.shape[0]
    parts = [slice(start, start + 8) for start in range(0, ny, max(8, ny // 16))]
    planes = frame.data, frame.variance, frame.mask
    data, variance, mask = (np.concatenate([np.asarray(plane[part]) for part in parts]) for plane in planes)
    if not (mask == 0).any():
        return float("inf")
    level = float(np.median(data[mask == 0]))
    return float(np.sqrt(np.median(variance[mask == 0]))) / level if level > 0 else float("inf")


def _normalise(frame: MasterFrame, known: Stack | None, out: NDArray[Any]) -> StackInput:
    """Divide the sky of a frame by its level, and write it where it is stacked from; NaN where it must not enter."""
    data, bad = np.array(frame.data, np.float32), np.asarray(frame.mask) != 0
    uncertainty = np.sqrt(np.asarray(frame.variance, np.float32))
    fringes: NDArray[Any] | float = 0.0
    if known is not None:
        there = known.survivors >= FEWEST_VALUES
        pattern = np.where(there, known.mean, np.float32(0))
        scale = fit_fringes(data, uncertainty, bad, pattern, there).scale
        fringes = np.float32(scale if np.isfinite(scale) else 0) * pattern
    sky = measure_residual(data, bad, fringes)
    if not (sky.usable.any() and sky.level > 0):
        raise FrameRejectedError(f"{frame.name} has no pixel of sky")
    noise = float(np.median(uncertainty[sky.usable]))
    out[:] = np.where(sky.usable, sky.image / np.float32(sky.level), np.float32(np.nan))
    variance = (noise / sky.level) ** 2

    def read(start: int, stop: int, rows: NDArray[Any]) -> None:
        rows[:] = out[start:stop]

    return StackInput(read, False, out.shape[1], np.array(0.0), variance)


def _stack_inputs(inputs: Sequence[StackInput], shape: tuple[int, ...], rejection: Rejection, threads: int) -> Stack:
    return stack(inputs, (shape[0], shape[1]), rejection.stack_sigma, rejection.floor, threads=threads)


def _make_header(
    frames: Sequence[MasterFrame],
    stacked: Stack,
    rejected: Sequence[tuple[str, str, float | None]],
    agreement: Agreement,
) -> fits.Header:
    header, times = fits.Header(), [frame.mjd for frame in frames if frame.mjd is not None]
    set_cards(header, {"MASTER": "fringe", "IMAGETYP": "fringe", "NCOMBINE": len(frames), "NREJECT": len(rejected)})
    if times:
        set_cards(header, list_mean_time(float(np.mean(times))))
        set_cards(header, {"MJDFIRST": min(times), "MJDLAST": max(times)})
    set_cards(header, {"NOISERAT": stacked.ratio, "NUSEDAVG": float(stacked.survivors.mean())})
    values = {"FRNGRMS": agreement.amplitude, "FRNGSIG": agreement.significance, "FRNGHALF": agreement.correlation}
    set_cards(header, values)
    list_inputs(header, [(frame.name, frame.digest) for frame in frames])
    list_rejected(header, rejected)
    if agreement.why_not:
        note_doubt(header, "no fringes", agreement.why_not, Outcome.REJECTED)
    return header


def _make_product(stacked: Stack, usable: NDArray[np.bool_], header: fits.Header) -> Product:
    """Make the product: 0 where the fringes are unknown, with their scatter as uncertainty."""
    data = np.where(usable, stacked.mean, np.float32(0))
    typical = np.float32(np.std(data[usable]))
    uncertainty = np.where(usable, stacked.uncertainty, typical)
    mask = np.where(usable, 0, Flag.NO_DATA).astype(MASK_DTYPE)
    return Product(data, uncertainty, mask, "", header, stacked.survivors)
