"""Zero point of a frame from catalogue stars, and the magnitudes of its sources."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nightcal.measurement.photometry.aperture_corrections import MAGNITUDE, ApertureCorrections, measure_corrections
from nightcal.measurement.photometry.comparison_stars import (
    FEWEST_STARS,
    FilterRule,
    PhotometryOptions,
    Sample,
    select_stars,
)
from nightcal.measurement.photometry.line_fit import LineFit, fit_line
from nightcal.measurement.photometry.neighbours import Matches, column, neighbour_flux, unspoiled, with_catalog

if TYPE_CHECKING:
    from astropy.table import Table

    from nightcal.measurement.star_catalog import StarCatalog

__all__ = ["FilterRule", "PhotometryOptions", "ZeroPoint", "calibrate", "cards", "with_magnitudes"]

LIMIT_SNR = 5.0


@dataclass(frozen=True, slots=True)
class ZeroPoint:
    """Magnitude scale of a frame; numbers that are not known are NaN.

    Attributes
    ----------
    status : str
        What it rests on, or why there is none.
    corrections : ApertureCorrections
        Known without a zero point, too.
    exposure : float
        Time [s].
    zero_point, error : float
        Magnitude of a source of `mean_colour` that gives 1 electron per second in the largest aperture, and one sigma.
    band, catalog : str
        What it was compared with.
    colour : str
        As ``"g - r"``; empty where no colour term was used.
    colour_term, colour_term_error : float
        Change of the zero point per magnitude of colour; an error of 0 says that it was not fitted.
    mean_colour : float
        Of the stars used, with the weights of the fit.
    scatter : float
        Rms of the stars used [mag], with what noise adds.
    intrinsic_scatter : float
        What remains of it when the errors of frame and catalogue are taken away.
    number : int
        Stars used.
    aperture : float
        Diameter [pix] of the aperture that was compared.
    limiting_magnitude : float
        Of a point source that has 5 sigma in the aperture best for it.
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


def calibrate(
    table: Table,
    catalog: StarCatalog | None,
    matches: Matches | None,
    exposure_time: float,
    rule: FilterRule | None,
    options: PhotometryOptions | None = None,
    *,
    filter_name: str = "",
) -> ZeroPoint:
    """Find the zero point of a frame from the stars that it shares with a catalogue.

    Parameters
    ----------
    table : astropy.table.Table
        Sources of the frame, fluxes in electrons of the whole exposure; columns as `measure_corrections` needs them.
    catalog : StarCatalog or None
        None if there is no catalogue.
    matches : tuple of two ndarray of int, shape (n,), or None
        Indices into the table and into the catalogue; None if the frame has no astrometric solution.
    exposure : float
        Time [s].
    rule : FilterRule or None
        None if the configuration says nothing about the filter.
    options : PhotometryOptions, optional
    filter_name : str
        As the frame's header tells it, for the words of the status.

    Returns
    -------
    ZeroPoint
        Never raises for want of stars; `status` then says what was missing.

    Notes
    -----
    Fitted is m_catalogue + 2.5 log10(flux / exposure) = zero_point + colour_term (colour - mean_colour). The weights
    are those of the flux that the catalogue lets expect, since a measured flux that is too high has an error that is
    too small, and would pull.
    """
    options = options or PhotometryOptions()
    why, stray = _missing(catalog, matches, exposure_time, rule, filter_name), neighbour_flux(table)
    if catalog is not None and matches is not None and rule is not None and not why:
        stray = with_catalog(stray, table, catalog, rule.band, matches)
    corrections = measure_corrections(
        table, stray, minimum_snr=options.minimum_snr, most_crowded=options.most_crowded, seed=options.seed
    )
    nothing = ZeroPoint("", corrections, float(exposure_time))
    if catalog is None or matches is None or rule is None or why:
        return replace(nothing, status=f"no zero point: {why}")
    nothing = replace(nothing, band=rule.band, catalog=catalog.name)
    sample = select_stars(table, catalog, matches, exposure_time, rule, corrections, stray, options)
    count = len(sample.difference)
    if count < FEWEST_STARS:
        return replace(
            nothing, status=f"no zero point: {count} usable of {len(matches[0])} stars matched, 3 are needed"
        )
    return _fitted(nothing, table, sample, rule, options)


def _missing(
    catalog: StarCatalog | None,
    matches: Matches | None,
    exposure_time: float,
    rule: FilterRule | None,
    filter_name: str,
) -> str:
    """Say what is missing before any star is looked at; empty if nothing is."""
    if rule is None:
        return f"no band for filter {filter_name!r} in the configuration"
    if matches is None:
        return "the frame has no astrometric solution"
    if catalog is None:
        return "no reference stars"
    if not catalog.magnitudes:
        return f"{catalog.name} has no magnitudes"
    if rule.band not in catalog.magnitudes:
        return f"{catalog.name} has no band {rule.band!r}, but {', '.join(catalog.magnitudes)}"
    if not (math.isfinite(exposure_time) and exposure_time > 0):
        return f"the exposure time is {exposure_time} s"
    return ""


def _fitted(
    nothing: ZeroPoint, table: Table, sample: Sample, rule: FilterRule, options: PhotometryOptions
) -> ZeroPoint:
    """Fit and put the record together."""
    slope, sample, note = _colour_term(sample, rule, options)
    fit, corrections = _fit(sample, rule, options, slope), nothing.corrections
    coloured = bool(fit.slope_error or fit.slope)
    # a millionth of a magnitude is nothing, and the last bits of linear algebra differ among machines
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
    return replace(found, limiting_magnitude=_limit(table, found))


def _colour_term(sample: Sample, rule: FilterRule, options: PhotometryOptions) -> tuple[float | None, Sample, str]:
    """Decide on the colour term: None to fit it, or its value; the stars that serve; a note for the status."""
    if rule.colour is None:
        return 0.0, sample, ""
    known = np.isfinite(sample.colour)
    coloured = sample.of(known)
    given = rule.colour_term or 0.0
    few = f"{known.sum()} stars have a colour, {options.fewest_for_colour} are needed"
    if not options.fit_colour_term:
        why = "as configured"
    elif known.sum() < options.fewest_for_colour:
        why = few
    else:
        first = _turn(coloured, rule, options, given, given, 0)
        width = float(np.std(coloured.colour[first.kept]))
        if first.kept.sum() >= options.fewest_for_colour and width >= options.narrowest_colour:
            return None, coloured, ""
        why = f"colours differ by {width:.2f} mag only" if width < options.narrowest_colour else few
    if given and known.sum() >= FEWEST_STARS:
        return given, coloured, f"; colour term of the configuration: {why}"
    return 0.0, sample, f"; no colour term: {why}"


def _fit(sample: Sample, rule: FilterRule, options: PhotometryOptions, slope: float | None) -> LineFit:
    """Fit, in two turns if the colour term is free, since the errors of the catalogue's colours count with it."""
    if slope is not None:
        return _turn(sample, rule, options, slope, slope, options.resamples)
    first = _turn(sample, rule, options, None, rule.colour_term or 0.0, 0)
    return _turn(sample, rule, options, None, first.slope, options.resamples)


def _turn(
    sample: Sample, rule: FilterRule, options: PhotometryOptions, slope: float | None, assumed: float, resamples: int
) -> LineFit:
    """Fit with errors of the catalogue as they are if the colour term is as assumed."""
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


def _limit(table: Table, found: ZeroPoint) -> float:
    """Magnitude of a point source of 5 sigma, in the aperture where it is faintest; NaN if no error is known."""
    flux, error = column(table, "FLUX_APER"), column(table, "FLUXERR_APER")
    limits = []
    for n, correction in enumerate(found.corrections.values):
        known = unspoiled(table) & np.isfinite(flux[:, n]) & np.isfinite(error[:, n]) & math.isfinite(correction)
        if not known.any():
            continue
        # the fainter half: of bright sources, the noise of the sky is a small difference of large numbers
        faint = known & (flux[:, n] <= np.median(flux[known, n]))
        sky = float(np.median(np.maximum(error[faint, n] ** 2 - np.maximum(flux[faint, n], 0), 0)))
        least = (LIMIT_SNR**2 + math.sqrt(LIMIT_SNR**4 + 4 * LIMIT_SNR**2 * sky)) / 2
        limits.append(found.zero_point - 2.5 * math.log10(least / found.exposure_time) + correction)
    return max(limits, default=math.nan)


def with_magnitudes(table: Table, zero_point: ZeroPoint) -> Table:
    """Add calibrated magnitudes to a table of sources.

    Parameters
    ----------
    table : astropy.table.Table
    zero_point : ZeroPoint

    Returns
    -------
    astropy.table.Table
        A copy with MAG_AUTO, MAGERR_AUTO, and MAG_APER, MAGERR_APER of one value an aperture, float32 [mag]: those of
        a point source of the zero point's mean colour, so corrected for the light outside the aperture. NaN where the
        flux is not above 0 or nothing is known. The errors are those of the fluxes: the zero point's is common to all.
    """
    result = table.copy()
    corrections = zero_point.corrections
    known = math.isfinite(zero_point.zero_point)
    level = zero_point.zero_point + 2.5 * math.log10(zero_point.exposure_time) if known else math.nan
    shifts = {"AUTO": np.array(corrections.kron), "APER": np.array(corrections.values)}
    for name, shift in shifts.items():
        flux, error = column(table, f"FLUX_{name}"), column(table, f"FLUXERR_{name}")
        flux = np.where((flux > 0) & np.isfinite(level + shift), flux, np.nan)
        magnitude = level - 2.5 * np.log10(flux) + shift
        for key, values in [(f"MAG_{name}", magnitude), (f"MAGERR_{name}", MAGNITUDE * error / flux)]:
            result[key] = values.astype(np.float32)
            result[key].unit = "mag"
    return result


def cards(zero_point: ZeroPoint) -> list[tuple[str, Any, str]]:
    """Cards that tell the zero point in a header.

    Parameters
    ----------
    zero_point : ZeroPoint

    Returns
    -------
    list of (str, value, str)
        Keyword, value and comment; ``ZPSTAT`` always, numbers where they are known.
    """
    numbers = [
        ("ZP", zero_point.zero_point, "[mag] of 1 electron/s, all light"),
        ("ZPERR", zero_point.error, "[mag] its error, one sigma"),
        ("ZPCTERM", zero_point.colour_term, "colour term, per mag of ZPCOLOR"),
        ("ZPCTERR", zero_point.colour_term_error, "its error, 0 if not fitted"),
        ("ZPCMEAN", zero_point.mean_colour, "[mag] colour that ZP holds for"),
        ("ZPRMS", zero_point.scatter, "[mag] rms of the stars used"),
        ("ZPSCAT", zero_point.intrinsic_scatter, "[mag] part that errors do not explain"),
        ("ZPAPER", zero_point.aperture, "[pix] diameter of the aperture compared"),
        ("MAGLIM5", zero_point.limiting_magnitude, "[mag] point source of 5 sigma"),
    ]
    found: list[tuple[str, Any, str]] = [("ZPSTAT", zero_point.status, "zero point")]
    if math.isfinite(zero_point.zero_point):
        found += [("ZPBAND", zero_point.band, "band of the catalogue"), ("ZPNSTAR", zero_point.number, "stars used")]
        found += [("ZPCOLOR", zero_point.colour, "colour of the colour term")] if zero_point.colour else []
    found += [(key, float(f"{value:.6g}"), comment) for key, value, comment in numbers if math.isfinite(value)]
    return found + _correction_cards(zero_point.corrections)


def _correction_cards(corrections: ApertureCorrections) -> list[tuple[str, Any, str]]:
    """Cards of the aperture corrections."""
    found: list[tuple[str, Any, str]] = [("APNSTAR", corrections.number, "stars of the aperture corrections")]
    each = [
        (f"APCOR{n}", value, f"[mag] correction, aperture of {diameter:.4g} pix")
        for n, (diameter, value) in enumerate(zip(corrections.diameters, corrections.values, strict=True), start=1)
    ]
    each += [("APCORK", corrections.kron, "[mag] correction of FLUX_AUTO")]
    return found + [(key, round(value, 5), comment) for key, value, comment in each if math.isfinite(value)]
