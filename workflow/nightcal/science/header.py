"""Record the calibration in a product's header: settings, masters, geometry, sky coordinates."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from astropy.io import fits

from nightcal.detector.readout import Readout
from nightcal.io.keywords import set_cards, warn
from nightcal.io.master import MasterFrame, find_dark_time
from nightcal.io.provenance import record_provenance
from nightcal.io.sections import Area
from nightcal.masters.keywords import inherit_warnings, name_master, note_dark_scaling, note_skipped
from nightcal.masters.pedestal import contains_dark, note_pedestal
from nightcal.science.image_numbers import list_image_numbers


def record_calibration(
    header: fits.Header,
    readout: Readout,
    exposure_time: float,
    masters: Mapping[str, MasterFrame | None],
    unit: str,
) -> None:
    """Record the calibration steps, their masters and settings in the header of a product.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Header of the product, with keywords of the raw frame; changed in place.
    readout : Readout
    exposure_time : float
        [s]
    masters : mapping of str to MasterFrame or None
        ``bias``, ``dark``, ``flat`` and ``bpm``.
    unit : str
        Unit of the product.

    Raises
    ------
    FrameRejectedError
        If the overscan has no valid pixel, or the pixels cannot be read.
    """
    record_provenance(header, readout.list_settings() | {"unit": unit})
    for text in (*readout.warnings, *readout.pixel_warnings):
        warn(header, text)
    set_cards(header, list_image_numbers(readout, masters["bias"], unit) | _list_readout(readout))
    if readout.kept_area is not None:
        set_cards(header, {"TRIMMED": str(readout.kept_area)})
        _shift_wcs(header, readout.kept_area)
    cards: dict[str, Any] = {}
    for step, master in masters.items():
        cards |= {f"{step.upper()}COR": master is not None} | name_master(step, master)
        if master is not None and master.mjd is not None:
            cards[f"{step.upper()}MJD"] = master.mjd
    inherit_warnings(header, *masters.values())
    if masters["dark"] is not None:
        cards["DARKMULT"] = find_dark_time(exposure_time, masters["bias"])
    complete = contains_dark(masters["bias"], [exposure_time])
    set_cards(header, cards | ({"DARKCOR": True} if complete else {}))
    note_dark_scaling(header, masters["dark"], exposure_time)
    note_pedestal(header, masters["bias"], masters["dark"], [exposure_time], gain=readout.gain)
    done = ["dark"] if complete else ()
    note_skipped(header, {step: masters[step] for step in ("bias", "dark", "flat")}, done)


def _list_readout(readout: Readout) -> dict[str, Any]:
    """List gain, read noise, limits and overscan by keyword."""
    values: dict[str, Any] = {
        "GAINUSED": readout.gain,
        "RNUSED": readout.read_noise,
        "OVSCCOR": readout.has_overscan,
    }
    if math.isfinite(readout.saturation):
        values |= {"SATUSED": readout.saturation, "SATSRC": readout.saturation_source}
    if readout.step != 1:
        values["ADCSTEP"] = readout.step
    if readout.bleeding.directions:
        values |= {"BLEEDDIR": ",".join(readout.bleeding.directions), "BLEEDPIX": readout.bleeding.pixels}
    if readout.mean_overscan_level is not None:
        values["OVSCLEV"] = readout.mean_overscan_level
        values["OVSCERR"] = math.sqrt(float(np.mean(readout.overscan_variance)))
    return values | readout.list_keywords()


def _shift_wcs(header: fits.Header, area: Area) -> None:
    """Shift the reference pixels of every WCS to the trimmed image, and flip its axes with the image."""
    for axis, start, stop, flip in (("1", area.xmin, area.xmax, area.flip_x), ("2", area.ymin, area.ymax, area.flip_y)):
        for keyword in list(header):
            match = re.fullmatch(f"CRPIX{axis}([A-Z]?)", keyword)
            if match is None or not isinstance(header[keyword], int | float):
                continue
            if flip:
                header[keyword] = stop + 1 - header[keyword]
                _flip_axis(header, axis, match[1])
            elif start:
                header[keyword] -= start


def _flip_axis(header: fits.Header, axis: str, which: str) -> None:
    """Flip a WCS along an axis of the image: change the sign of the column of its matrix (FITS standard 8.1)."""
    for stem in ("CD", "PC"):
        if any(f"{stem}{i}_{j}{which}" in header for i in "12" for j in "12"):
            if stem == "PC":  # missing elements are those of the unit matrix
                header.setdefault(f"PC{axis}_{axis}{which}", 1.0)
            names = [f"{stem}{i}_{axis}{which}" for i in "12"]
            break
    else:
        names = [f"CDELT{axis}{which}"]
        header.setdefault(names[0], 1.0)
    for name in names:
        if isinstance(header.get(name), int | float):
            header[name] = -header[name]
    if not which:
        _flip_sip(header, axis)


def _flip_sip(header: fits.Header, axis: str) -> None:
    """Flip SIP polynomials: odd powers of this axis change sign, and so does the shift along it (Shupe et al. 2005)."""
    for name in list(header):
        match = re.fullmatch(r"([AB])P?_(\d)_(\d)", name)
        if match is None or not isinstance(header[name], int | float):
            continue
        changes = int(match[2 if axis == "1" else 3]) + ((match[1] == "A") == (axis == "1"))
        header[name] = -header[name] if changes % 2 else header[name]
