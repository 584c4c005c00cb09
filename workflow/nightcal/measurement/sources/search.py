"""Sources of a calibrated frame: found, measured, flagged, in one table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.flags import Flag
from nightcal.measurement.sources.background import Background, first_background, refined_background
from nightcal.measurement.sources.detection import extract, matched_filter
from nightcal.measurement.sources.filling import fill
from nightcal.measurement.sources.measure import (
    KRON_REACH,
    MERGED,
    NEAR,
    flags,
    fluxes,
    peaks,
    positions,
    windows,
    with_phase_error,
)
from nightcal.measurement.sources.moments import FWHM, Moments, windowed_moments
from nightcal.measurement.sources.profile import profile_fwhm
from nightcal.measurement.sources.records import SourceOptions, Sources, Statistics, cards
from nightcal.measurement.sources.seeing import ROUNDEST, WIDTHS, half_sample_mode, seeing_of
from nightcal.measurement.sources.table import empty_table, table_of

__all__ = ["SourceOptions", "Sources", "Statistics", "cards", "find_sources", "seeing_of"]

UNUSABLE = Flag.BAD | Flag.HOT | Flag.LOW_FLAT | Flag.NO_DATA
USUAL_FWHM = 3.0
"""Taken for the matched filter where no star tells better [pix]."""

UNKNOWN = 1e8
"""Uncertainty of a pixel about which nothing is known [e-]."""

STAR_SNR = 20.0
ALIKE = 0.2
"""Stars are those whose widths differ by less than this part."""

SETTLED = 0.05
ROUNDS = 3
SKY_BEYOND = 3.0
"""Radius around a source in which there is no sky, in FWHM."""

RUINED = 4 | 8
"""Flags of what cannot tell the width of stars, even where nothing better is at hand."""

PROFILES = 200
"""Stars whose profiles are joined, the brightest."""


def find_sources(
    data: NDArray[Any],
    uncertainty: NDArray[Any],
    mask: NDArray[Any],
    options: SourceOptions | None = None,
    fwhm: float | None = None,
) -> Sources:
    """Find and measure the sources of a frame.

    Parameters
    ----------
    data, uncertainty : ndarray of float32, shape (ny, nx)
        With the sky, and its standard deviation [e-]; not changed.
    mask : ndarray of uint8, shape (ny, nx)
        Bits of `nightcal.flags.Flag`.
    options : SourceOptions, optional
    fwhm : float, optional
        Of the stars [pix], where `seeing_of` has found it already.

    Returns
    -------
    Sources
        Without sources if there are none, and with the reason.
    """
    options = options or SourceOptions()
    hidden = _hidden(data, uncertainty, mask)
    if hidden.all():
        return _nothing(options, Statistics(status="no pixel of the frame is good enough to look for sources"))
    if min(data.shape) < 2 or np.ptp(data[~hidden]) == 0:
        return _nothing(options, Statistics(status="the frame is too small or the same everywhere"))
    fwhm = seeing_of(data, uncertainty, mask) if fwhm is None else fwhm
    sigma = (fwhm if np.isfinite(fwhm) else USUAL_FWHM) / FWHM
    clean = np.empty(data.shape, np.float32)
    errors = np.array(uncertainty, np.float32, order="C")
    typical = _median_of_some(errors, hidden)
    errors[hidden] = typical
    for smooth in (True, False):
        np.copyto(clean, data)
        clean[hidden] = 0
        level, noise = first_background(clean, hidden, options.background_box, smooth)
        clean -= level
        objects, words = _detected(clean, errors, hidden, noise, sigma, typical, options)
        if not (objects["npix"] > options.background_box**2).any():
            break  # what is larger than a box is a nebula, to be taken for sky
    taken = hidden.copy()
    _take(taken, objects, sigma)
    np.copyto(clean, data)
    background = refined_background(clean, taken, level, noise, options.background_box)
    clean -= background.level
    clean[hidden] = 0
    if not len(objects):
        status = words or "no source stands out of the sky"
        return _nothing(options, Statistics(sky=background.sky, noise=background.noise, fwhm=fwhm, status=status))
    return _measured(clean, errors, hidden, mask, objects, background, sigma, float(typical), options, words)


def _detected(
    residual: NDArray[Any],
    errors: NDArray[Any],
    hidden: NDArray[np.bool_],
    noise: NDArray[Any],
    sigma: float,
    typical: np.float32,
    options: SourceOptions,
) -> tuple[Any, str]:
    """Find sources above the sky; where the sky is noisier than the uncertainty tells, the threshold is raised."""
    excess = max(1.0, float(np.median(noise[::4, ::4]) / typical))
    flux, error = matched_filter(residual, errors, hidden, _sky_error(noise, typical), sigma)
    return extract(
        flux, error, options.threshold * excess, options.minimum_area, options.deblend_levels, options.deblend_contrast
    )


def _hidden(data: NDArray[Any], uncertainty: NDArray[Any], mask: NDArray[Any]) -> NDArray[np.bool_]:
    """Pixels that are not used: those without a good value, and cosmic rays unless saturated, as stars' cores are."""
    hidden = mask & UNUSABLE > 0
    hidden |= mask & (Flag.COSMIC_RAY | Flag.SATURATED) == Flag.COSMIC_RAY
    hidden |= ~np.isfinite(data)
    hidden |= ~((uncertainty > 0) & (uncertainty < UNKNOWN))
    return hidden


def _median_of_some(image: NDArray[Any], hidden: NDArray[np.bool_]) -> np.float32:
    some = (slice(None, None, 4),) * 2
    values = image[some][~hidden[some]]
    return np.float32(np.median(values if values.size else image[~hidden]))


def _sky_error(noise: NDArray[Any], typical: np.float32) -> NDArray[Any]:
    """Bring the sky's measured noise, which is smooth, to the level of the uncertainty."""
    measured = np.median(noise[::4, ::4])
    if not measured > 0:
        return np.full_like(noise, typical)
    scaled = noise * (typical / measured)
    return np.maximum(scaled, np.float32(0.1) * typical, out=scaled)


def _take(taken: NDArray[np.bool_], objects: Any, sigma: float) -> None:
    """Mark the pixels of sources, well beyond where they sink below the threshold."""
    import sep

    radius = np.maximum(SKY_BEYOND * FWHM * sigma, 2 * np.sqrt(objects["npix"] / np.pi))
    round_ = np.ones(len(objects))
    sep.mask_ellipse(taken, objects["x"], objects["y"], round_, round_, 0 * round_, radius)


def _nothing(options: SourceOptions, statistics: Statistics) -> Sources:
    fwhm = statistics.fwhm if np.isfinite(statistics.fwhm) else USUAL_FWHM
    return Sources(empty_table(_diameters(options, fwhm)), statistics, statistics.status)


def _diameters(options: SourceOptions, fwhm: float) -> NDArray[np.float64]:
    return np.array(options.apertures, np.float64) * (fwhm if options.aperture_unit == "fwhm" else 1.0)


def _measured(
    clean: NDArray[Any],
    errors: NDArray[Any],
    hidden: NDArray[np.bool_],
    mask: NDArray[Any],
    objects: Any,
    background: Background,
    sigma: float,
    typical: float,
    options: SourceOptions,
    words: str,
) -> Sources:
    """Measure sources; once more if their stars are not as wide as was thought."""
    x, y = objects["x"], objects["y"]
    for _ in range(ROUNDS):
        reach = max(float(_diameters(options, sigma * FWHM)[-1]) / 2, KRON_REACH * sigma)
        for _ in range(2 if hidden.any() else 1):
            fill(clean, errors, hidden, x, y, sigma, reach, typical)
            x, y = positions(clean, objects, x, y, windows(objects, sigma))
        moments = windowed_moments(clean, errors, x, y, windows(objects, sigma))
        radius = NEAR * FWHM * windows(objects, sigma)
        none = np.zeros(len(x), bool)
        stars = _stars(moments, flags(mask, moments, radius, none, none))
        before, sigma = sigma, float(np.median(moments.fwhm[stars])) / FWHM if stars.any() else sigma
        if abs(np.log(sigma / before)) < SETTLED:
            break
    fwhm = _profile_width(clean, moments, stars, sigma)
    moments = with_phase_error(moments, sigma, windows(objects, sigma))
    moments = replace(moments, fwhm=moments.fwhm * (fwhm / (sigma * FWHM)))
    diameters = _diameters(options, fwhm)
    light = fluxes(
        clean, errors, moments, sigma, diameters, (options.kron_factor, options.kron_minimum), background.error
    )
    marks = flags(mask, moments, radius, objects["flag"] & MERGED > 0, light.truncated)
    at = [np.clip(np.rint(place), 0, size - 1).astype(int) for place, size in zip((y, x), mask.shape, strict=True)]
    table = table_of(objects, moments, light, background.level[at[0], at[1]], peaks(clean, moments), marks, diameters)
    statistics = Statistics(
        number=len(table),
        stars=int(stars.sum()),
        sky=background.sky,
        noise=background.noise,
        fwhm=fwhm if stars.any() else float("nan"),
        ellipticity=float(np.median(1 - moments.b[stars] / moments.a[stars])) if stars.any() else float("nan"),
        status=words,
    )
    return Sources(table, statistics, words)


def _profile_width(clean: NDArray[Any], moments: Moments, stars: NDArray[np.bool_], sigma: float) -> float:
    """FWHM of the profile that the brightest good stars share; that of their moments where it cannot be had."""
    best = np.flatnonzero(stars)
    best = best[np.argsort(-moments.snr[best], kind="stable")[:PROFILES]]
    found = profile_fwhm(clean, moments.x[best], moments.y[best], moments.light[best], sigma)
    return found if np.isfinite(found) else sigma * FWHM


def _stars(moments: Moments, marks: NDArray[Any]) -> NDArray[np.bool_]:
    """Which sources are good stars: bright, without flags, of the width that most have."""
    good = (moments.snr > STAR_SNR) & (moments.b > ROUNDEST * moments.a)
    good &= (moments.fwhm > WIDTHS[0] * FWHM) & (moments.fwhm < WIDTHS[1] * FWHM)
    good &= marks == 0 if (good & (marks == 0)).any() else marks & RUINED == 0
    if not good.any():
        return good
    widths = np.log(np.where(good, moments.fwhm, 1.0))
    return good & (np.abs(widths - half_sample_mode(widths[good])) < ALIKE)
