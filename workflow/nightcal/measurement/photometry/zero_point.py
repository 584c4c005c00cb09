"""Fit the zero point of a frame from catalogue stars, and calibrate the magnitudes of its sources."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nightcal.measurement.photometry.aperture_corrections import MAGNITUDE, ApertureCorrections, measure_corrections
from nightcal.measurement.photometry.catalog_neighbours import Matches, add_catalog_stars
from nightcal.measurement.photometry.comparison_stars import (
    FEWEST_STARS,
    FilterRule,
    PhotometryOptions,
    Sample,
    select_stars,
)
from nightcal.measurement.photometry.line_fit import LineFit, fit_line
from nightcal.measurement.photometry.neighbours import NeighbourFlux, estimate_neighbour_flux
from nightcal.measurement.sources.table import find_reliable_sources, read_column

if TYPE_CHECKING:
    from astropy.table import Table

    from nightcal.measurement.star_catalog import StarCatalog

LIMIT_SNR = 5.0

COMMON_DOUBT = 0.1
"""Relative 1 sigma error of the flux of neighbours that is common to all stars: growth curve, number of unseen ones."""


@dataclass(frozen=True, slots=True)
class ZeroPoint:
    """Zero point of a frame; unknown numbers are NaN.

    Attributes
    ----------
    status : str
        Number of stars, catalogue and band, or why there is no zero point.
    corrections : ApertureCorrections
        Measured even without a zero point.
    exposure_time : float
        [s]
    zero_point, error : float
        Magnitude of a source of `mean_colour` with 1 e-/s in the largest aperture, and its 1 sigma error.
    band, catalog : str
        Compared with the frame.
    colour : str
        As ``"g - r"``; empty without a colour term.
    colour_term, colour_term_error : float
        Change of the zero point per magnitude of colour; its error is 0 if it was not fitted.
    mean_colour : float
        Of the stars used, weighted as in the fit.
    scatter : float
        Rms of the stars used [mag], noise included.
    intrinsic_scatter : float
        Scatter in excess of the errors of frame and catalogue [mag].
    number : int
        Number of stars used.
    aperture : float
        Diameter of the aperture compared [pix].
    limiting_magnitude : float
        Of a point source of 5 sigma, in the most sensitive aperture.
    """

    status: str
    corrections: ApertureCorrections
    exposure_time: float
    zero_point: float = math.nan
    error: float = math.nan
    band: str = ""
    catalog: str = ""
    colour: str = ""
    colour_term: float = math.nan
    colour_term_error: float = math.nan
    mean_colour: float = math.nan
    scatter: float = math.nan
    intrinsic_scatter: float = math.nan
    number: int = 0
    aperture: float = math.nan
    limiting_magnitude: float = math.nan


def fit_zero_point(
    table: Table,
    catalog: StarCatalog | None,
    matches: Matches | None,
    exposure_time: float,
    rule: FilterRule | None,
    options: PhotometryOptions | None = None,
    *,
    filter_name: str = "",
) -> ZeroPoint:
    """Fit the zero point of a frame to its stars in a catalogue.

    Parameters
    ----------
    table : astropy.table.Table
        Sources of the frame, with the columns of `measure_corrections`; fluxes in electrons of the whole exposure.
    catalog : StarCatalog or None
        None if there is no catalogue.
    matches : tuple of two ndarray of int, shape (n,), or None
        Indices in the table and in the catalogue; None without an astrometric solution.
    exposure_time : float
        [s]
    rule : FilterRule or None
        None if the filter is not in the configuration.
    options : PhotometryOptions, optional
    filter_name : str
        Of the frame, for the status.

    Returns
    -------
    ZeroPoint
        `status` says why there is no zero point; nothing is raised for lack of stars.

    Notes
    -----
    The model is m_catalogue + 2.5 log10(flux / exposure_time) = zero_point + colour_term (colour - mean_colour). The
    weights are those of the flux expected from the catalogue: a measured flux that is too high would have too small an
    error, and bias the fit. A second fit, with less flux of neighbours, tells the error that they have in common.
    """
    options = options or PhotometryOptions()
    why = _describe_missing_input(catalog, matches, exposure_time, rule, filter_name)
    neighbours = estimate_neighbour_flux(table)
    if catalog is None or matches is None or rule is None or why:
        corrections = _measure_corrections(table, neighbours, options)
        return ZeroPoint(f"no zero point: {why}", corrections, float(exposure_time))
    neighbours = add_catalog_stars(neighbours, table, catalog, rule.band, matches)

    def fit(neighbours: NeighbourFlux) -> ZeroPoint:
        corrections = _measure_corrections(table, neighbours, options)
        nothing = ZeroPoint("", corrections, float(exposure_time), band=rule.band, catalog=catalog.name)
        sample = select_stars(table, catalog, matches, exposure_time, rule, corrections, neighbours, options)
        count = len(sample.difference)
        if count < FEWEST_STARS:
            status = f"no zero point: {count} of {len(matches[0])} matched stars are usable; "
            return replace(nothing, status=f"{status}at least {FEWEST_STARS} are needed")
        return _fit_stars(nothing, table, sample, rule, options)

    found = fit(neighbours)
    if not (np.any(neighbours.flux) and math.isfinite(found.zero_point)):
        return found
    change = fit(neighbours.scale(1 - COMMON_DOUBT)).zero_point - found.zero_point
    return replace(found, error=math.hypot(found.error, change)) if math.isfinite(change) else found


def _measure_corrections(table: Table, neighbours: NeighbourFlux, options: PhotometryOptions) -> ApertureCorrections:
    """Measure the aperture corrections with the options of the zero point."""
    return measure_corrections(
        table, neighbours, minimum_snr=options.minimum_snr, most_crowded=options.most_crowded, seed=options.seed
    )


def _describe_missing_input(
    catalog: StarCatalog | None,
    matches: Matches | None,
    exposure_time: float,
    rule: FilterRule | None,
    filter_name: str,
) -> str:
    """Describe the missing input, in words; empty if nothing is missing."""
    if rule is None:
        return f"filter {filter_name!r} is not in the configuration (photometry.filters)"
    if matches is None:
        return "the frame has no astrometric solution"
    if catalog is None:
        return "no reference stars"
    if not catalog.magnitudes:
        return f"{catalog.name} has no magnitudes"
    if rule.band not in catalog.magnitudes:
        return f"{catalog.name} has no band {rule.band!r}; its bands are {', '.join(catalog.magnitudes)}"
    if not (math.isfinite(exposure_time) and exposure_time > 0):
        return f"the exposure time is {exposure_time} s"
    return ""


def _fit_stars(
    nothing: ZeroPoint, table: Table, sample: Sample, rule: FilterRule, options: PhotometryOptions
) -> ZeroPoint:
    """Fit the stars of a sample and fill in the record."""
    slope, sample, note = _choose_colour_term(sample, rule, options)
    fit, corrections = _fit(sample, rule, options, slope), nothing.corrections
    coloured = bool(fit.slope_error or fit.slope)
    # the last bits of linear algebra differ between machines; a millionth of a magnitude is negligible
    found = replace(
        nothing,
        status=f"{fit.kept.sum()} stars of {nothing.catalog}, band {rule.band}{note}",
        zero_point=round(fit.level, 6),
        error=math.hypot(fit.level_error, corrections.errors[sample.aperture]),
        colour=" - ".join(rule.colour) if coloured and rule.colour else "",
        colour_term=fit.slope,
        colour_term_error=fit.slope_error,
        mean_colour=fit.centre if coloured else math.nan,
        scatter=fit.rms,
        intrinsic_scatter=fit.intrinsic,
        number=int(fit.kept.sum()),
        aperture=corrections.diameters[sample.aperture],
    )
    return replace(found, limiting_magnitude=_find_limiting_magnitude(table, found))


def _choose_colour_term(
    sample: Sample, rule: FilterRule, options: PhotometryOptions
) -> tuple[float | None, Sample, str]:
    """Choose the colour term (None to fit it), the stars to use, and a note for the status."""
    if rule.colour is None:
        return 0.0, sample, ""
    known = np.isfinite(sample.colour)
    coloured = sample.select(known)
    given = rule.colour_term or 0.0
    few = f"{known.sum()} stars have a colour; at least {options.fewest_for_colour} are needed"
    if not options.fit_colour_term:
        why = "fit_colour_term is false"
    elif known.sum() < options.fewest_for_colour:
        why = few
    else:
        first = _fit_once(coloured, rule, options, given, given, 0)
        width = float(np.std(coloured.colour[first.kept]))
        if first.kept.sum() >= options.fewest_for_colour and width >= options.narrowest_colour:
            return None, coloured, ""
        why = (
            f"the standard deviation of the colours is only {width:.2f} mag"
            if width < options.narrowest_colour
            else few
        )
    if given and known.sum() >= FEWEST_STARS:
        return given, coloured, f"; colour term from the configuration: {why}"
    return 0.0, sample, f"; no colour term: {why}"


def _fit(sample: Sample, rule: FilterRule, options: PhotometryOptions, slope: float | None) -> LineFit:
    """Fit, twice if the colour term is free: the weight of the catalogue's colour errors depends on it."""
    if slope is not None:
        return _fit_once(sample, rule, options, slope, slope, options.resamples)
    first = _fit_once(sample, rule, options, None, rule.colour_term or 0.0, 0)
    return _fit_once(sample, rule, options, None, first.slope, options.resamples)


def _fit_once(
    sample: Sample, rule: FilterRule, options: PhotometryOptions, slope: float | None, assumed: float, resamples: int
) -> LineFit:
    """Fit with catalogue errors for an assumed colour term."""
    shares = {rule.band: 1.0}
    if rule.colour is not None and assumed:
        for band, sign in zip(rule.colour, (-1, 1), strict=True):
            shares[band] = shares.get(band, 0.0) + sign * assumed
    variance = sample.variance + np.sum([(share * sample.errors[band]) ** 2 for band, share in shares.items()], axis=0)
    return fit_line(
        np.nan_to_num(sample.colour),
        sample.difference,
        variance,
        slope=slope,
        clip=options.clip,
        resamples=resamples,
        seed=options.seed,
    )


def _find_limiting_magnitude(table: Table, found: ZeroPoint) -> float:
    """Find the magnitude of a 5 sigma point source in the most sensitive aperture; NaN without errors."""
    flux, error = read_column(table, "FLUX_APER"), read_column(table, "FLUXERR_APER")
    limits = []
    for n, correction in enumerate(found.corrections.values):
        known = (
            find_reliable_sources(table)
            & np.isfinite(flux[:, n])
            & np.isfinite(error[:, n])
            & math.isfinite(correction)
        )
        if not known.any():
            continue
        # fainter half: for bright sources, the sky noise is a small difference of large numbers
        faint = known & (flux[:, n] <= np.median(flux[known, n]))
        sky = float(np.median(np.maximum(error[faint, n] ** 2 - np.maximum(flux[faint, n], 0), 0)))
        least = (LIMIT_SNR**2 + math.sqrt(LIMIT_SNR**4 + 4 * LIMIT_SNR**2 * sky)) / 2
        limits.append(found.zero_point - 2.5 * math.log10(least / found.exposure_time) + correction)
    return max(limits, default=math.nan)


def add_magnitudes(table: Table, zero_point: ZeroPoint) -> Table:
    """Add calibrated magnitudes to a copy of a table of sources.

    Parameters
    ----------
    table : astropy.table.Table
    zero_point : ZeroPoint

    Returns
    -------
    astropy.table.Table
        A copy with MAG_AUTO, MAGERR_AUTO and, with one value per aperture, MAG_APER and MAGERR_APER, float32 [mag], for
        a point source of the mean colour of the zero point: corrected for the flux outside the aperture. NaN without a
        zero point or a positive flux. The errors are those of the fluxes; the error of the zero point is common to all.
    """
    result = table.copy()
    corrections = zero_point.corrections
    known = math.isfinite(zero_point.zero_point)
    level = zero_point.zero_point + 2.5 * math.log10(zero_point.exposure_time) if known else math.nan
    shifts = {"AUTO": np.array(corrections.kron), "APER": np.array(corrections.values)}
    for name, shift in shifts.items():
        flux, error = read_column(table, f"FLUX_{name}"), read_column(table, f"FLUXERR_{name}")
        flux = np.where((flux > 0) & np.isfinite(level + shift), flux, np.nan)
        magnitude = level - 2.5 * np.log10(flux) + shift
        whose = "FLUX_AUTO" if name == "AUTO" else "each aperture"
        for key, values, words in [
            (f"MAG_{name}", magnitude, f"total magnitude from {whose}, for colour ZPCMEAN"),
            (f"MAGERR_{name}", MAGNITUDE * error / flux, f"its standard deviation, of {whose} alone"),
        ]:
            result[key] = values.astype(np.float32)
            result[key].unit, result[key].description = "mag", words
    return result


def make_keywords(zero_point: ZeroPoint) -> dict[str, Any]:
    """List the values for the header, by keyword.

    Parameters
    ----------
    zero_point : ZeroPoint

    Returns
    -------
    dict
        ``ZPSTAT`` always, numbers if they are known. With an aperture correction goes its comment.
    """
    numbers = {
        "ZP": zero_point.zero_point,
        "ZPERR": zero_point.error,
        "ZPCTERM": zero_point.colour_term,
        "ZPCTERR": zero_point.colour_term_error,
        "ZPCMEAN": zero_point.mean_colour,
        "ZPRMS": zero_point.scatter,
        "ZPSCAT": zero_point.intrinsic_scatter,
        "ZPAPER": zero_point.aperture,
        "MAGLIM5": zero_point.limiting_magnitude,
    }
    found: dict[str, Any] = {"ZPSTAT": zero_point.status}
    if math.isfinite(zero_point.zero_point):
        found |= {"ZPBAND": zero_point.band, "ZPNSTAR": zero_point.number}
        found |= {"ZPCOLOR": zero_point.colour} if zero_point.colour else {}
    found |= {key: float(f"{value:.6g}") for key, value in numbers.items() if math.isfinite(value)}
    return found | _make_correction_keywords(zero_point.corrections)


def _make_correction_keywords(corrections: ApertureCorrections) -> dict[str, Any]:
    """List the values of the aperture corrections, by keyword."""
    found: dict[str, Any] = {"APNSTAR": corrections.number}
    for n, (diameter, value) in enumerate(zip(corrections.diameters, corrections.values, strict=True), start=1):
        if math.isfinite(value):
            found[f"APCOR{n}"] = round(value, 5), f"[mag] correction, aperture of {diameter:.4g} pix"
    return found | ({"APCORK": round(corrections.kron, 5)} if math.isfinite(corrections.kron) else {})
