"""Complete the header of a science frame with the standard keywords that its camera does not write, or writes wrong."""

from __future__ import annotations

import math
import warnings
from typing import Any

from astropy.io import fits

from nightcal.cameras.site import Site
from nightcal.io.date_formats import SECONDS_A_DAY, parse_moment
from nightcal.io.header_values import format_time, is_number
from nightcal.io.keywords import set_cards
from nightcal.planning.frames import Frame

SAME_TIME = 1.0
"""Two times are the same if they differ by less [s]."""

SAME_DURATION = 1e-3
"""Two exposure times are the same if they differ by less [s]."""

LARGEST_ZENITH_DISTANCE = 88.0
"""Nobody observes closer to the horizon [deg]."""

PLAIN_TYPE = "object"
"""IMAGETYP of a science frame whose camera writes none, as IRAF has it."""


def complete_header(header: fits.Header, frame: Frame, site: Site | None) -> None:
    """Set the standard keywords of time, exposure, object, filter, airmass and site.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Of the product, with the keywords of the raw frame; changed in place. Keywords with the right meaning stay.
    frame : Frame
        What the header of the raw frame says.
    site : Site or None
        None if unknown.
    """
    cards = _list_exposure(header, frame) | _list_times(header, frame)
    for name, text in {"IMAGETYP": PLAIN_TYPE, "OBJECT": frame.target}.items():
        if text and not str(header.get(name, "")).strip():
            cards[name] = text
    if site is not None:
        cards |= _list_site(header, site)
        if frame.pointing and frame.mjd is not None and not is_number(header.get("AIRMASS")):
            airmass = compute_airmass(*frame.pointing, frame.mjd, site)
            cards |= {} if airmass is None else {"AIRMASS": round(airmass, 4)}
    set_cards(header, cards)


def _list_exposure(header: fits.Header, frame: Frame) -> dict[str, Any]:
    """List exposure time and filter, where the header has none or others."""
    cards: dict[str, Any] = {}
    seconds, filter_name = header.get("EXPTIME"), header.get("FILTER")
    if not is_number(seconds) or abs(seconds - frame.exposure_time) > SAME_DURATION:
        cards |= {"EXPTIME": frame.exposure_time} | _keep("RAWEXPT", seconds)
    if frame.filter and (not isinstance(filter_name, str) or filter_name.strip() != frame.filter):
        cards |= {"FILTER": frame.filter} | _keep("RAWFILT", filter_name)
    return cards


def _list_times(header: fits.Header, frame: Frame) -> dict[str, Any]:
    """List the start of the exposure, where the header has none or another time, and its scale."""
    if frame.mjd is None:
        return {}
    start = frame.mjd - 0.5 * frame.exposure_time / SECONDS_A_DAY
    cards: dict[str, Any] = {"TIMESYS": "UTC"} if not str(header.get("TIMESYS", "")).strip() else {}
    date, mjd = header.get("DATE-OBS"), header.get("MJD-OBS")
    moment = parse_moment(date) if isinstance(date, str) else None
    written = moment is not None and moment.is_date and moment.has_time and "-" in str(date)
    if moment is None or not written or abs(moment.mjd - start) * SECONDS_A_DAY > SAME_TIME:
        cards |= {"DATE-OBS": format_time(start)} | _keep("RAWDATE", date)
    if not is_number(mjd) or abs(mjd - start) * SECONDS_A_DAY > SAME_TIME:
        cards |= {"MJD-OBS": round(start, 8)} | _keep("RAWMJD", mjd)
    return cards | _list_limits(header)


def _list_limits(header: fits.Header) -> dict[str, Any]:
    """List MJD-BEG and MJD-END beside DATE-BEG and DATE-END, as readers expect them."""
    moments = {end: parse_moment(str(header[f"DATE-{end}"])) for end in ("BEG", "END") if f"DATE-{end}" in header}
    return {
        f"MJD-{end}": round(moment.mjd, 8)
        for end, moment in moments.items()
        if moment is not None and moment.is_date and moment.has_time and f"MJD-{end}" not in header
    }


def _list_site(header: fits.Header, site: Site) -> dict[str, Any]:
    """List the place of the observatory, in both ways of FITS, as readers warn if one is missing."""
    if site.height is None or site.geocentric is None:
        return {}
    values = *(round(metres, 2) for metres in site.geocentric), site.longitude, site.latitude, site.height
    cards = dict(zip((f"OBSGEO-{letter}" for letter in "XYZLBH"), values, strict=True))
    return {} if all(is_number(header.get(name)) for name in cards) else cards


def compute_airmass(ra: float, dec: float, mjd: float, site: Site) -> float | None:
    """Compute the airmass of a pointing.

    Parameters
    ----------
    ra, dec : float
        ICRS [deg].
    mjd : float
        [UTC]
    site : Site

    Returns
    -------
    float or None
        From the true zenith distance, by formula (3) of Kasten & Young (1989, Applied Optics 28, 4735); None if the
        pointing is at or below the horizon.

    Notes
    -----
    UT1 is taken as UTC, which moves the sky by up to 15 arcsec: no table of the rotation of the Earth is needed.
    """
    import erfa

    angles = [math.radians(degrees) for degrees in (ra, dec)]
    place = math.radians(site.longitude), math.radians(site.latitude), site.height or 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", erfa.ErfaWarning)  # of years whose leap seconds are not known yet
        found = erfa.atco13(*angles, 0.0, 0.0, 0.0, 0.0, 2400000.5, mjd, 0.0, *place, 0.0, 0.0, 0.0, 0.0, 0.0, 0.55)
    zenith_distance = math.degrees(found[1])
    if zenith_distance > LARGEST_ZENITH_DISTANCE:
        return None
    altitude = 90.0 - zenith_distance
    return 1.0 / (math.sin(math.radians(altitude)) + 0.50572 * (altitude + 6.07995) ** -1.6364)


def _keep(name: str, value: Any) -> dict[str, Any]:
    """Keep the value of the raw frame under another name, if it has one."""
    return {} if value is None or isinstance(value, fits.card.Undefined) or value == "" else {name: value}
