"""What the page says of each science frame, taken from its header once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from astropy.io import fits

from nightcal.io.header_values import is_number
from nightcal.io.keywords import read_warnings
from nightcal.report.plan_rows import Row, read_number
from nightcal.science.frame_quality import FrameQuality

UNGRADED = FrameQuality("")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number of each science frame that is shown against time.

    Attributes
    ----------
    key : str
    title : str
        With the unit.
    style : str
        Format of its numbers.
    card : str
        Keyword of products that holds it; empty if it is computed.
    """

    key: str
    title: str
    style: str
    card: str = ""


QUANTITIES = (
    Quantity("seeing", "seeing [arcsec]", ".2f", "SEEING"),
    Quantity("fwhm", "FWHM [pix]", ".2f", "FWHM"),
    Quantity("sky_mag", "sky [mag/arcsec\N{SUPERSCRIPT TWO}]", ".2f"),
    Quantity("sky", "sky [e-/s/pix]", ".3g"),
    Quantity("zero_point", "zero point [mag]", ".3f", "ZP"),
    Quantity("transparency", "transparency", ".2f"),
    Quantity("ellipticity", "ellipticity", ".2f", "ELLIPTIC"),
    Quantity("sources", "sources", ".0f", "NSOURCES"),
    Quantity("overscan", "overscan level [adu]", ".1f", "OVSCLEV"),
    Quantity("temperature", "CCD temperature [deg C]", ".1f", "CCD-TEMP"),
    Quantity("airmass", "airmass", ".2f", "AIRMASS"),
    Quantity("noise", "noise of empty apertures / error", ".2f", "APERNOIS"),
)


@dataclass(frozen=True, slots=True)
class FrameFacts:
    """A science frame.

    Attributes
    ----------
    path : str
        Of the product, below the folder of the night.
    anchor : str
        Of its row in the page.
    mjd : float or None
    target, filter : str
    exposure : float or None
        [s]
    header : mapping
        Of the product.
    quality : FrameQuality
    numbers : mapping of str to float
        By key of `QUANTITIES`; those that are unknown are left out.
    warnings : tuple of str
    """

    path: str
    anchor: str
    mjd: float | None
    target: str
    filter: str
    exposure: float | None
    header: Mapping[str, Any]
    quality: FrameQuality
    numbers: Mapping[str, float]
    warnings: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        """Name of the product, without suffix."""
        return PurePosixPath(self.path).stem

    @property
    def is_empty(self) -> bool:
        """Whether the frame was rejected during the reduction."""
        return "EMPTY" in self.header

    @property
    def share_masked(self) -> float | None:
        """Share of flagged pixels [percent]."""
        nx, ny, masked = (read_card(self.header, card) for card in ("NAXIS1", "NAXIS2", "NMASKED"))
        return 100 * masked / (nx * ny) if nx and ny and masked is not None else None


def collect_facts(
    products: Mapping[str, fits.Header], rows: Mapping[str, Row], grades: Mapping[str, FrameQuality]
) -> list[FrameFacts]:
    """Collect the facts of all science frames.

    Parameters
    ----------
    products : mapping of str to astropy.io.fits.Header
        By path.
    rows : mapping of str to mapping
        Rows of the plan, by product.
    grades : mapping of str to FrameQuality
        By product.

    Returns
    -------
    list of FrameFacts
        In the order of the products.
    """
    science = [(path, header) for path, header in products.items() if path.startswith("science/")]
    return [
        _collect(path, header, rows.get(path, {}), grades.get(path, UNGRADED), f"f{n}")
        for n, (path, header) in enumerate(science)
    ]


def _collect(path: str, header: fits.Header, row: Row, quality: FrameQuality, anchor: str) -> FrameFacts:
    is_measured = "NSOURCES" in header and "EMPTY" not in header
    numbers = {one.key: read_card(header, one.card) for one in QUANTITIES if one.card} if is_measured else {}
    exposure = read_card(header, "EXPTIME")
    level = read_card(header, "SKYLEVEL") if is_measured else None
    if level is not None and exposure:
        numbers["sky"] = level / exposure
        numbers["sky_mag"] = _measure_sky_magnitude(level / exposure, numbers)
    if math.isfinite(quality.transparency.value):
        numbers["transparency"] = quality.transparency.value
    return FrameFacts(
        path,
        anchor,
        read_number(row, "mjd_mid"),
        str(header.get("OBJECT", "")),
        row.get("filter", ""),
        read_number(row, "exposure"),
        header,
        quality,
        {key: value for key, value in numbers.items() if value is not None},
        (str(header["EMPTY"]),) if "EMPTY" in header else tuple(read_warnings(header)),
    )


def _measure_sky_magnitude(rate: float, numbers: Mapping[str, float | None]) -> float | None:
    """Measure the brightness of a square arcsec of the sky; None without zero point or pixel scale."""
    zero_point, seeing, fwhm = (numbers.get(key) for key in ("zero_point", "seeing", "fwhm"))
    if zero_point is None or not seeing or not fwhm or rate <= 0:
        return None
    return zero_point - 2.5 * math.log10(rate / (seeing / fwhm) ** 2)


def read_card(header: Mapping[str, Any], card: str) -> float | None:
    """Read a finite number of a header; None if there is none."""
    value = header.get(card)
    return float(value) if is_number(value) else None
