"""Detect and measure the sources of a calibrated frame."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.flags import Flag
from nightcal.measurement.options import SourceOptions
from nightcal.measurement.sources.background import (
    Background,
    estimate_background,
    mask_discs,
    refine_background,
)
from nightcal.measurement.sources.detection import apply_matched_filter, extract, measure_largest_group
from nightcal.measurement.sources.empty_apertures import measure_empty_apertures
from nightcal.measurement.sources.filling import fill_hidden_pixels
from nightcal.measurement.sources.local_background import (
    LocalBackground,
    choose_background,
    measure_local_background,
)
from nightcal.measurement.sources.measure import (
    KRON_REACH,
    MERGED,
    NARROWEST,
    NEAR,
    add_sampling_errors,
    choose_windows,
    find_crowded_sources,
    flag_sources,
    measure_fluxes,
    measure_peaks,
    measure_positions,
)
from nightcal.measurement.sources.moments import FWHM, Moments, measure_moments
from nightcal.measurement.sources.profile import measure_profile_fwhm
from nightcal.measurement.sources.records import SourceFlag, Sources, Statistics
from nightcal.measurement.sources.seeing import (
    ALIKE,
    FEWEST,
    ROUNDEST,
    WIDTHS,
    estimate_seeing,
    find_narrowest_common_width,
)
from nightcal.measurement.sources.shape import measure_star_shape
from nightcal.measurement.sources.stamps import LARGEST
from nightcal.measurement.sources.table import make_empty_table, make_table
from nightcal.measurement.sources.undersampling import measure_sampling_errors

UNUSABLE = Flag.BAD | Flag.HOT | Flag.LOW_FLAT | Flag.NO_DATA | Flag.TRAIL
USUAL_FWHM = 3.0
"""FWHM assumed for the matched filter if no star can be measured [pix]."""

UNKNOWN = 1e8
"""Pixels with this uncertainty or more hold no information [e-]."""

STAR_SNR = 20.0
STRUCK = 0.5
"""What a source with a cosmic ray counts among the stars: it may be what is left of one."""

UNLIKE = 0.3
"""Largest difference between the FWHM of the profile and that of the moments, as a fraction."""

SETTLED = 0.05
ROUNDS = 3
SKY_BEYOND = 3.0
"""Pixels within this radius of a source are not used for the sky, in FWHM."""

UNMEASURABLE = SourceFlag.SATURATED | SourceFlag.EDGE
"""Sources with one of these flags never count as good stars; others do if there are no stars without any flag."""

CROWDED_REACH, FEWEST_ALONE = 2.5, 10
"""The common profile is made from stars without a neighbour within 2.5 FWHM, if there are at least 10 of them."""

PROFILES = 200
"""Largest number of stars in the common profile, the brightest first."""


def find_sources(
    data: NDArray[Any],
    uncertainty: NDArray[Any],
    mask: NDArray[Any],
    options: SourceOptions | None = None,
    fwhm: float | None = None,
) -> Sources:
    """Detect and measure the sources of a frame.

    Parameters
    ----------
    data, uncertainty : ndarray of float32, shape (ny, nx)
        Image with its sky, and standard deviation of each pixel [e-]; not changed.
    mask : ndarray of int16, shape (ny, nx)
        Bits of `nightcal.flags.Flag`.
    options : SourceOptions, optional
    fwhm : float, optional
        Of the stars [pix], if `estimate_seeing` has been run already.

    Returns
    -------
    Sources
        With an empty table and the reason if there are no sources.
    """
    options = options or SourceOptions()
    hidden = _find_hidden_pixels(data, uncertainty, mask)
    if hidden.all():
        return _make_empty_result(
            options, Statistics(status="every pixel of the frame is masked or has no valid uncertainty")
        )
    if min(data.shape) < 2 or np.ptp(data[~hidden]) == 0:
        return _make_empty_result(options, Statistics(status="the frame is too small or constant"))
    fwhm = estimate_seeing(data, uncertainty, mask) if fwhm is None else fwhm
    sigma = (fwhm if np.isfinite(fwhm) else USUAL_FWHM) / FWHM
    clean = np.empty(data.shape, np.float32)
    errors = np.array(uncertainty, np.float32, order="C")
    typical = _estimate_median(errors, hidden)
    errors[hidden] = typical
    for smooth in (True, False):
        np.copyto(clean, data)
        clean[hidden] = 0
        level, noise = estimate_background(clean, hidden, options.background_box, smooth)
        clean -= level
        objects, problem, largest = _detect(clean, errors, hidden, noise, sigma, typical, options)
        if largest <= options.background_box**2:
            break  # a source larger than a box is a nebula or a galaxy, and counts as sky
    taken = hidden.copy()
    _mark_sources(taken, objects, sigma)
    np.copyto(clean, data)
    background = refine_background(clean, taken, level, noise, options.background_box)
    clean -= background.level
    clean[hidden] = 0
    if not len(objects):
        status = problem or "no source above the detection threshold"
        return _make_empty_result(
            options, Statistics(sky=background.sky, noise=background.noise, fwhm=fwhm, status=status)
        )
    return _measure(clean, errors, hidden, mask, objects, background, sigma, float(typical), options, problem)


def _detect(
    residual: NDArray[Any],
    errors: NDArray[Any],
    hidden: NDArray[np.bool_],
    noise: NDArray[Any],
    sigma: float,
    typical: np.float32,
    options: SourceOptions,
) -> tuple[Any, str, int]:
    """Detect sources, and count the pixels of the largest group that touch each other.

    The threshold is raised if the sky is noisier than its uncertainty.
    """
    excess = max(1.0, float(np.median(noise[::4, ::4]) / typical))
    flux, error = apply_matched_filter(residual, errors, hidden, _scale_sky_noise(noise, typical), sigma)
    threshold = options.threshold * excess
    objects, problem = extract(
        flux, error, threshold, options.minimum_area, options.deblend_levels, options.deblend_contrast
    )
    return objects, problem, measure_largest_group(flux > np.float32(threshold) * error)


def _find_hidden_pixels(data: NDArray[Any], uncertainty: NDArray[Any], mask: NDArray[Any]) -> NDArray[np.bool_]:
    """Find the pixels not to be used: bad values, and cosmic rays unless saturated, as the cores of stars are."""
    hidden = mask & UNUSABLE > 0
    hidden |= mask & (Flag.COSMIC_RAY | Flag.SATURATED) == Flag.COSMIC_RAY
    hidden |= ~np.isfinite(data)
    hidden |= ~((uncertainty > 0) & (uncertainty < UNKNOWN))
    return hidden


def _estimate_median(image: NDArray[Any], hidden: NDArray[np.bool_]) -> np.float32:
    """Estimate the median from every fourth pixel of every fourth row."""
    some = (slice(None, None, 4),) * 2
    values = image[some][~hidden[some]]
    return np.float32(np.median(values if values.size else image[~hidden]))


def _scale_sky_noise(noise: NDArray[Any], typical: np.float32) -> NDArray[Any]:
    """Scale the measured noise of the sky, which is smooth, to the level of the uncertainty."""
    measured = np.median(noise[::4, ::4])
    if not measured > 0:
        return np.full_like(noise, typical)
    scaled = noise * (typical / measured)
    return np.maximum(scaled, np.float32(0.1) * typical, out=scaled)


def _mark_sources(taken: NDArray[np.bool_], objects: Any, sigma: float) -> None:
    """Mark the pixels of sources, well beyond their detected extent."""
    radius = np.maximum(SKY_BEYOND * FWHM * sigma, 2 * np.sqrt(objects["npix"] / np.pi))
    mask_discs(taken, objects["x"], objects["y"], radius)


def _make_empty_result(options: SourceOptions, statistics: Statistics) -> Sources:
    """Make the result for a frame without sources."""
    fwhm = statistics.fwhm if np.isfinite(statistics.fwhm) else USUAL_FWHM
    return Sources(make_empty_table(_list_diameters(options, fwhm)), statistics, statistics.status)


def _list_diameters(options: SourceOptions, fwhm: float) -> NDArray[np.float64]:
    """List the diameters of the circular apertures [pix]."""
    return np.array(options.apertures, np.float64) * (fwhm if options.aperture_unit == "fwhm" else 1.0)


def _measure(
    clean: NDArray[Any],
    errors: NDArray[Any],
    hidden: NDArray[np.bool_],
    mask: NDArray[Any],
    objects: Any,
    background: Background,
    sigma: float,
    typical: float,
    options: SourceOptions,
    problem: str,
) -> Sources:
    """Measure sources, again if their stars are not as wide as assumed."""
    x, y = objects["x"], objects["y"]
    first = sigma
    for _ in range(ROUNDS):
        reach = max(float(_list_diameters(options, sigma * FWHM)[-1]) / 2, KRON_REACH * sigma)
        for _ in range(2 if hidden.any() else 1):
            fill_hidden_pixels(clean, errors, hidden, x, y, sigma, reach, typical)
            x, y = measure_positions(clean, objects, x, y, choose_windows(objects, sigma))
        moments = measure_moments(clean, errors, x, y, choose_windows(objects, sigma))
        radius = NEAR * FWHM * choose_windows(objects, sigma)
        none = np.zeros(len(x), bool)
        stars = _select_stars(moments, flag_sources(mask, moments, radius, none, none))
        before, sigma = sigma, float(np.median(moments.fwhm[stars])) / FWHM if stars.any() else first
        if abs(np.log(sigma / before)) < SETTLED:
            break
    fwhm = _measure_fwhm(clean, moments, stars, sigma)
    diameters = _list_diameters(options, fwhm)
    local = _find_local_background(clean, hidden, moments, background.error, fwhm, float(diameters[-1]) / 2)
    if local.used.any():
        moments = measure_moments(clean, errors, x, y, choose_windows(objects, sigma), sky=local.level)
    moments = replace(moments, fwhm=moments.fwhm * (fwhm / (sigma * FWHM)))
    kron = options.kron_factor, options.kron_minimum
    fluxes = measure_fluxes(clean, errors, moments, sigma, diameters, kron, background.error, local)
    sampling = measure_sampling_errors(fwhm, max(sigma, NARROWEST), diameters, options.kron_minimum * sigma)
    moments, fluxes = add_sampling_errors(moments, fluxes, sampling)
    marks = flag_sources(mask, moments, radius, objects["flag"] & MERGED > 0, fluxes.truncated)
    at = [np.clip(np.rint(place), 0, size - 1).astype(int) for place, size in zip((y, x), mask.shape, strict=True)]
    sky, peaks = background.level[at[0], at[1]] + local.level, measure_peaks(clean, moments) - local.level
    table = make_table(objects, moments, fluxes, sky, local.used, peaks, marks, diameters)
    known = fwhm if stars.any() else float("nan")
    statistics = Statistics(
        number=len(table),
        stars=int(stars.sum()),
        sky=background.sky,
        noise=background.noise,
        fwhm=known,
        ellipticity=float(np.median(1 - moments.b[stars] / moments.a[stars])) if stars.any() else float("nan"),
        status=problem,
        shape=measure_star_shape(moments, _find_bright_sources(moments, marks), known, mask.shape),
        aperture_noise=measure_empty_apertures(
            clean, errors, hidden, (moments.x, moments.y), fwhm, float(diameters[0]) / 2, background.error
        ),
    )
    return Sources(table, statistics, problem)


def _find_local_background(
    clean: NDArray[Any], hidden: NDArray[np.bool_], moments: Moments, sky_error: float, fwhm: float, radius: float
) -> LocalBackground:
    """Measure the sky around each source, and keep it where the background of the frame is wrong."""
    import sep

    inner = np.minimum(np.maximum(radius, KRON_REACH * moments.a), LARGEST) + 1
    found = measure_local_background(clean, hidden, moments.x, moments.y, inner, fwhm)
    flux, _, _ = sep.sum_circle(clean, moments.x, moments.y, radius, subpix=0)
    return choose_background(found, sky_error, flux, np.pi * radius**2)


def _measure_fwhm(clean: NDArray[Any], moments: Moments, stars: NDArray[np.bool_], sigma: float) -> float:
    """Measure the FWHM of the common profile of the brightest good stars, or of their moments if that fails."""
    alone = stars & ~find_crowded_sources(moments, CROWDED_REACH * FWHM * sigma)
    best = np.flatnonzero(alone if alone.sum() >= FEWEST_ALONE else stars)
    best = best[np.argsort(-moments.snr[best], kind="stable")[:PROFILES]]
    found = measure_profile_fwhm(clean, moments.x[best], moments.y[best], moments.flux[best], sigma)
    return found if abs(found / (sigma * FWHM) - 1) < UNLIKE else sigma * FWHM


def _select_stars(moments: Moments, marks: NDArray[Any]) -> NDArray[np.bool_]:
    """Select good stars: bright, round, of the narrowest common width; flagged ones if there are too few others.

    One or two bright sources are taken for stars if nothing speaks against it.
    """
    good = _find_bright_sources(moments, marks) & (moments.b > ROUNDEST * moments.a)
    widths = np.log(np.where(good, moments.fwhm, 1.0))
    struck = marks & SourceFlag.COSMIC_RAY > 0
    if 0 < good.sum() < FEWEST and np.ptp(widths[good]) < ALIKE and not struck[good].any():
        return good
    weights = np.where(struck, STRUCK, 1.0)
    good &= np.abs(widths - find_narrowest_common_width(widths[good], weights[good])) < ALIKE / 2
    clean = good & (marks == 0)
    return clean if clean.sum() >= FEWEST else good


def _find_bright_sources(moments: Moments, marks: NDArray[Any]) -> NDArray[np.bool_]:
    """Find bright sources that are neither saturated nor cut off, nor too sharp or wide for a star."""
    bright = (moments.snr > STAR_SNR) & (marks & UNMEASURABLE == 0)
    return np.asarray(bright & (moments.fwhm > WIDTHS[0] * FWHM) & (moments.fwhm < WIDTHS[1] * FWHM))
