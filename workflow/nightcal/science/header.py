"""What a product's header says of its calibration: settings, masters, geometry, sky coordinates."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from astropy.io import fits

from nightcal.detector.amplifiers import Mosaic
from nightcal.detector.readout import Readout
from nightcal.io.keywords import set_cards, warn
from nightcal.io.master import MasterFrame
from nightcal.io.provenance import provenance
from nightcal.io.sections import Area
from nightcal.masters.keywords import inherit_warnings, note_dark_scaling, note_skipped, used_cards


def describe(
    header: fits.Header,
    readout: Readout | Mosaic,
    exposure_time: float,
    masters: Mapping[str, MasterFrame | None],
    unit: str,
) -> None:
    """Write what was done, with what, into the header of a product.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Of the product, with the cards that it keeps of the raw frame; changed in place.
    readout : Readout or Mosaic
    exposure : float
        [s], by which the dark is multiplied.
    masters : mapping of str to MasterFrame or None
        ``bias``, ``dark``, ``flat`` and ``bpm``.
    unit : str
        Of the product.

    Raises
    ------
    FrameRejectedError
        If the overscan holds nothing, or the pixels cannot be read.
    """
    electronics = readout.electronics
    level = readout.mean_level
    cards: list[tuple[str, Any, str]] = [
        ("GAINUSED", electronics.gain, "[electron/adu]"),
        ("RNUSED", electronics.read_noise, "[electron]"),
        ("OVSCCOR", readout.has_overscan, "overscan level subtracted"),
    ]
    if math.isfinite(readout.saturation):
        cards += [
            ("SATUSED", readout.saturation, "[adu] raw values from here on are flagged"),
            ("SATSRC", readout.limit_source, "what that limit is"),
        ]
    if electronics.bleed.directions:
        cards += [
            ("BLEEDDIR", ",".join(electronics.bleed.directions), "where saturated pixels leak to"),
            ("BLEEDPIX", electronics.bleed.pixels, "[pix] how far"),
        ]
    if level is not None:
        cards.append(("OVSCLEV", level, "[adu] mean overscan level"))
    if isinstance(readout, Mosaic):
        provenance(header, _settings_of(readout) | {"unit": unit})
        for n, where in enumerate(readout.places, start=1):
            if where.off_grid:
                warn(
                    header,
                    f"amplifier {n}: its binned pixels lie between those of the others, moved by up to half a pixel",
                )
        cards += _cards_of_amplifiers(readout)
    else:
        provenance(header, _settled(readout) | {"unit": unit})
        cards += _cards_of_overscan(readout)
    kept = _kept_area(readout)
    if kept is not None:
        cards.append(("TRIMMED", str(kept), "area of the raw image that is kept"))
        _shift_wcs(header, kept)
    for step, master in masters.items():
        cards.append((f"{step.upper()}COR", master is not None, f"{step} applied"))
        cards += used_cards(step, master)
        if master is not None and isinstance(master.header.get("MJD-AVG"), int | float):
            cards.append((f"{step.upper()}MJD", master.header["MJD-AVG"], "its mean time"))
    inherit_warnings(header, *masters.values())
    if masters["dark"] is not None:
        cards.append(("DARKMULT", exposure_time, "[s] by which the dark was multiplied"))
    set_cards(header, cards)
    note_dark_scaling(header, masters["dark"], exposure_time)
    note_skipped(header, {step: masters[step] for step in ("bias", "dark", "flat")}, "steps that were not applied")


def _settled(readout: Readout) -> dict[str, Any]:
    """List what is to be known of an amplifier to repeat a calibration."""
    settled = {"overscan_method": _method_of(readout), "saturation": readout.saturation}
    return asdict(readout.electronics) | settled


def _settings_of(mosaic: Mosaic) -> dict[str, Any]:
    places = [asdict(where) for where in mosaic.places]
    return {
        "amplifiers": [_settled(readout) for readout in mosaic.readouts],
        "places": places,
        "crosstalk": mosaic.crosstalk.tolist(),
    }


def _method_of(readout: Readout) -> str:
    method = readout.electronics.overscan_method
    return str(getattr(method, "name", None) or getattr(method, "__name__", "function"))


def _cards_of_overscan(readout: Readout) -> list[tuple[str, Any, str]]:
    if not readout.has_overscan:
        return []
    areas = enumerate(readout.electronics.overscans, start=1)
    return [
        ("OVSCMETH", _method_of(readout), "overscan method"),
        *((f"OVSC{n:04d}", str(overscan), "overscan area") for n, overscan in areas),
    ]


def _cards_of_amplifiers(mosaic: Mosaic) -> list[tuple[str, Any, str]]:
    """Say what each amplifier was calibrated with, and where it lies in the product."""
    cards: list[tuple[str, Any, str]] = [
        ("NAMPS", len(mosaic.readouts), "amplifiers put together"),
        ("XTALKCOR", bool(mosaic.crosstalk.any()), "crosstalk between amplifiers removed"),
    ]
    if any(readout.has_overscan for readout in mosaic.readouts):
        cards.append(("OVSCMETH", _method_of(mosaic.readouts[0]), "overscan method"))
    for n, (readout, where) in enumerate(zip(mosaic.readouts, mosaic.places, strict=True), start=1):
        cards += [
            (f"AMPSEC{n:02d}", str(where.area), f"pixels of amplifier {n}"),
            (f"GAINUS{n:02d}", readout.electronics.gain, "[electron/adu]"),
            (f"RNUSED{n:02d}", readout.electronics.read_noise, "[electron]"),
        ]
        if math.isfinite(readout.saturation):
            cards.append((f"SATUSE{n:02d}", readout.saturation, "[adu]"))
        if readout.mean_level is not None:
            cards.append((f"OVSCLV{n:02d}", readout.mean_level, "[adu] mean overscan level"))
            sections = " ".join(map(str, readout.electronics.overscans))
            cards.append((f"OVSCSE{n:02d}", sections, "overscan areas"))
    return cards


def _kept_area(readout: Readout | Mosaic) -> Area | None:
    """Area of the raw image that is kept, with its flips; None if it is all of it, or there are several amplifiers."""
    if isinstance(readout, Readout):
        area, shape = readout.area, readout.image.shape
    elif len(readout.readouts) == 1:
        (where,), (alone,) = readout.places, readout.readouts
        area, shape = replace(alone.area, flip_x=where.flip_x, flip_y=where.flip_y), alone.image.shape
    else:
        return None
    return area if area.shape != shape or area.flip_x or area.flip_y else None


def _shift_wcs(header: fits.Header, area: Area) -> None:
    """Move the reference pixels of every WCS with the corner of the trimmed image, and turn its axes with the image."""
    for axis, start, stop, flip in (("1", area.xmin, area.xmax, area.flip_x), ("2", area.ymin, area.ymax, area.flip_y)):
        for keyword in list(header):
            match = re.fullmatch(f"CRPIX{axis}([A-Z]?)", keyword)
            if match is None or not isinstance(header[keyword], int | float):
                continue
            if flip:
                header[keyword] = stop + 1 - header[keyword]
                _turn_axis(header, axis, match[1])
            elif start:
                header[keyword] -= start


def _turn_axis(header: fits.Header, axis: str, which: str) -> None:
    """Let a WCS run backwards along an axis of the image: the column of its matrix changes sign (FITS standard 8.1)."""
    for stem in ("CD", "PC"):
        if any(f"{stem}{i}_{j}{which}" in header for i in "12" for j in "12"):
            if stem == "PC":  # what is not there is the unit matrix
                header.setdefault(f"PC{axis}_{axis}{which}", 1.0)
            names = [f"{stem}{i}_{axis}{which}" for i in "12"]
            break
    else:
        names = [f"CDELT{axis}{which}"]
        header.setdefault(names[0], 1.0)
    for name in names:
        if isinstance(header.get(name), int | float):
            header[name] = -header[name]
