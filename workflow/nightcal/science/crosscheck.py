"""Calibrate a raw frame with ccdproc and the same masters, and compare the result with the product.

Gain, read noise, masters and exposure time are taken from the product's header. Pixels, overscan and arithmetic are
those of ccdproc and astropy, in double precision.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from nightcal.cameras.camera import Camera
from nightcal.cameras.colours import select_colour
from nightcal.cameras.settings import read_row_order
from nightcal.detector.overscan import SMOOTH_ORDER, OverscanMethods
from nightcal.io.atomic import write_text
from nightcal.io.raw_header import RawHeader, read_header
from nightcal.io.sections import Area, parse_section
from nightcal.masters.adapt import are_opposite
from nightcal.numerics.robust import QUANTISATION

if TYPE_CHECKING:
    from astropy.nddata import CCDData

STEPS = ("bias", "dark", "flat")
NOTICEABLE = 0.01
"""Differences larger than this are counted [sigma]."""

OVERSCAN = {
    "mean": "ccdproc",
    "median": "ccdproc",
    "row_mean": "ccdproc",
    "row_median": "ccdproc",
    "smooth": "ccdproc, which rejects no outlying rows",
    "clipped_mean": "ccdproc, after clipping by astropy.stats",
    "row_running": "nightcal, ccdproc has no such method",
}
"""Program that measures the overscan level, by method."""


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """Differences between a product and the result of ccdproc from the same raw frame and masters.

    Attributes
    ----------
    frame : str
        Name of the raw frame.
    masters : mapping of str to str
        File names of the masters applied, by step.
    reason : str
        Reason if nothing was compared, else empty.
    overscan : str
        Program that measured the overscan level; ``none`` without overscan.
    amplifiers : int
    crosstalk : bool
        Whether crosstalk was removed.
    pixels, masked : int
        Numbers of pixels compared, and of pixels left out because they are flagged in the product.
    median, largest : float
        Absolute differences in units of the product's uncertainty.
    largest_at : tuple of int
        Column and row of the largest difference, counted from 1.
    above_limit : int
        Number of pixels that differ by more than `NOTICEABLE`.
    uncertainty_ratio : tuple of float
        Ratio of ccdproc's uncertainty to the product's: 16th percentile, median, 84th percentile.
    versions : mapping of str to str
    """

    frame: str
    masters: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    overscan: str = "none"
    amplifiers: int = 1
    crosstalk: bool = False
    pixels: int = 0
    masked: int = 0
    median: float | None = None
    largest: float | None = None
    largest_at: tuple[int, ...] = ()
    above_limit: int = 0
    uncertainty_ratio: tuple[float, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        if self.reason:
            return f"{self.frame}: not compared with ccdproc: {self.reason}"
        return (
            f"{self.frame}: {self.pixels} pixels compared with ccdproc: median difference {self.median:.2g} sigma, "
            f"largest {self.largest:.2g} sigma at {list(self.largest_at)}; {self.above_limit} above {NOTICEABLE} sigma"
        )


def crosscheck(raw: Path, product: Path, camera: Camera, masters: Mapping[str, Path]) -> CrossCheck:
    """Calibrate a raw frame with ccdproc and compare the result with its product.

    Parameters
    ----------
    raw, product : Path
        Raw frame and its product.
    camera : Camera
    masters : mapping of str to Path
        ``bias``, ``dark`` and ``flat``, if present; those that the product did not use are ignored.

    Returns
    -------
    CrossCheck
    """
    import ccdproc
    from astropy import units as u
    from astropy.nddata import StdDevUncertainty

    with fits.open(product, memmap=False) as hdus:
        header, image, mask = hdus[0].header, hdus[0].data.astype(np.float64), hdus["MASK"].data
        sigma = hdus["UNCERT"].data.astype(np.float64)
    used = {step: path for step, path in masters.items() if header.get(f"{step.upper()}COR")}
    names = {step: path.name for step, path in used.items()}
    versions = {"nightcal": str(header.get("NIGHTCAL", "")), "ccdproc": str(ccdproc.__version__)}
    result = CrossCheck(header["RAWFILE"], names, versions=versions)
    if "EMPTY" in header:
        return replace(result, reason=f"the product is empty: {header['EMPTY']}")
    raw_header = select_colour(read_header(raw), camera)
    amplifiers = _Amplifiers(raw_header, camera, header)
    if amplifiers.crosstalk.any() and not amplifiers.are_read_together():
        return replace(result, reason="crosstalk between amplifiers that do not start at the same corner pixel")

    ccd = amplifiers.assemble(raw, image.shape)
    summed = camera.count_summed(raw_header)
    applied = {step: _read_master(path, step, header, summed) for step, path in used.items()}
    above_bias = ccdproc.subtract_bias(ccd, applied["bias"]) if "bias" in applied else ccd
    if "PEDEXP" in header and {"bias", "dark"} <= set(applied):  # the bias is made of darks, and contains dark current
        above_bias = above_bias.add(applied["dark"].multiply(header["PEDEXP"]))
    ccd.uncertainty = StdDevUncertainty(amplifiers.compute_noise(above_bias))
    if "bias" in applied:
        ccd = ccdproc.subtract_bias(ccd, applied["bias"])
    if "dark" in applied:  # a dark per second has an exposure time of 1 s
        times = {"dark_exposure": 1 * u.s, "data_exposure": header["DARKMULT"] * u.s}
        ccd = ccdproc.subtract_dark(ccd, applied["dark"], scale=True, **times)
    if "flat" in applied:
        ccd = ccdproc.flat_correct(ccd, applied["flat"], norm_value=1)
    if header["BUNIT"] == "adu":
        ccd = ccd.divide(header["GAINUSED"] * u.electron / u.adu)
    result = replace(
        result,
        overscan=OVERSCAN[camera.overscan_method] if header["OVSCCOR"] else "none",
        amplifiers=len(amplifiers.areas),
        crosstalk=bool(amplifiers.crosstalk.any()),
    )
    return _compare(result, image, sigma, mask, ccd)


def write_crosscheck(path: Path, result: CrossCheck) -> None:
    """Write a cross-check as JSON."""
    write_text(path, json.dumps(asdict(result), indent=1) + "\n")


def read_crosscheck(path: Path) -> CrossCheck:
    """Read a cross-check that `write_crosscheck` wrote."""
    return CrossCheck(**json.loads(path.read_text(encoding="utf-8")))


def _compare(
    result: CrossCheck, image: NDArray[Any], sigma: NDArray[Any], mask: NDArray[Any], ccd: CCDData
) -> CrossCheck:
    good = mask == 0
    if not good.any():
        return replace(result, reason="every pixel of the product is flagged", masked=int(mask.size))
    difference = np.where(good, np.abs(ccd.data - image) / np.where(good, sigma, 1.0), 0.0)
    y, x = np.unravel_index(np.argmax(difference), difference.shape)
    ratio = np.percentile(ccd.uncertainty.array[good] / sigma[good], [16, 50, 84])
    return replace(
        result,
        pixels=int(np.count_nonzero(good)),
        masked=int(np.count_nonzero(mask)),
        median=_round(np.median(difference[good])),
        largest=_round(difference[y, x]),
        largest_at=(int(x) + 1, int(y) + 1),
        above_limit=int(np.count_nonzero(difference > NOTICEABLE)),
        uncertainty_ratio=tuple(map(_round, ratio)),
    )


def _round(value: Any) -> float:
    return float(f"{value:.4g}")


def _read_master(path: Path, step: str, product: fits.Header, summed: int) -> CCDData:
    """Read a master in electrons of the frame's gain (a dark for 1 s), or a flat as a ratio, in the frame's row order.

    A sum of several readouts has so many times the bias of one.
    """
    from astropy.nddata import CCDData, StdDevUncertainty

    with fits.open(path, memmap=False) as hdus:
        header, gain = hdus[0].header, product["GAINUSED"]
        scale = 1.0 if step == "flat" else gain / header.get("GAINUSED", gain)
        scale *= summed / header.get("NSUMMED", 1) if step == "bias" else 1.0
        data, error = (hdus[name].data.astype(np.float64) * scale for name in (0, "UNCERT"))
    if are_opposite(_read_row_order(product, "ROWORDER"), _read_row_order(header, "NCROWS")):
        data, error = data[::-1], error[::-1]
    return CCDData(data, uncertainty=StdDevUncertainty(error), unit="" if step == "flat" else "electron")


def _read_row_order(header: fits.Header, keyword: str) -> str:
    return str(header.get(keyword, "")).strip().lower()


class _Amplifiers:
    """Amplifiers of one frame: sections from its camera file, and numbers from the product."""

    def __init__(self, raw: RawHeader, camera: Camera, header: fits.Header) -> None:
        self.camera, self.planes = camera, raw.planes
        self.sections = camera.sections(raw)
        stored = read_row_order(camera.settings(raw))
        if are_opposite(stored, _read_row_order(header, "ROWORDER")):  # turned, like its masters
            self.sections = tuple(replace(s, image=replace(s.image, flip_y=not s.image.flip_y)) for s in self.sections)
        numbers = range(1, len(self.sections) + 1)
        alone = "NAMPS" not in header
        self.gains = [header["GAINUSED"]] if alone else [header[f"GAINUS{n:02d}"] for n in numbers]
        self.step = header.get("ADCSTEP", 1.0)
        self.noises = [header["RNUSED"]] if alone else [header[f"RNUSED{n:02d}"] for n in numbers]
        shape = self.sections[0].image.shape
        places = [] if alone else [parse_section(header[f"AMPSEC{n:02d}"]) for n in numbers]
        self.areas = [place for place in places if place] or [Area(0, shape[1], 0, shape[0])]
        self.crosstalk = np.zeros((len(numbers),) * 2)
        if header.get("XTALKCOR"):
            self.crosstalk[:] = camera.read_crosstalk(raw)

    def are_read_together(self) -> bool:
        """Whether the first pixels of all image areas are read at the same time."""
        starts = set()
        for rule, sections in zip(self.camera.amplifiers, self.sections, strict=True):
            area, (ny, nx) = sections.image, self.planes[rule.plane].shape
            x = nx - area.xmax if rule.from_right else area.xmin
            y = ny - area.ymax if rule.from_top else area.ymin
            alone = sum(other.plane == rule.plane for other in self.camera.amplifiers) == 1
            starts.add((area.shape, x if alone else 0, y if alone else 0))
        return len(starts) == 1

    def assemble(self, raw: Path, shape: tuple[int, int]) -> CCDData:
        """Subtract overscan and crosstalk, trim, correct for the gain, and put the amplifiers together."""
        import ccdproc
        from astropy import units as u
        from astropy.nddata import CCDData

        rules = self.camera.amplifiers
        with fits.open(raw, memmap=False) as hdus:
            planes = [np.array(_select_plane(hdus[plane.hdu].data, plane), np.float64) for plane in self.planes]
        above = [
            _subtract_overscan(CCDData(planes[rule.plane], unit="adu"), section.image, section.overscans, self.camera)
            for rule, section in zip(rules, self.sections, strict=True)
        ]
        whole = CCDData(np.zeros(shape), unit="electron")
        for n, (rule, sections) in enumerate(zip(rules, self.sections, strict=True)):
            ccd = above[n]
            for i in np.flatnonzero(self.crosstalk[:, n]):
                other = rules[i]
                ghost = _flip(above[i].data, other.from_right != rule.from_right, other.from_top != rule.from_top)
                ccd = ccd.subtract(CCDData(self.crosstalk[i, n] * ghost, unit="adu"))
            if rule.polynomial:
                ccd = ccd.multiply(np.polynomial.polynomial.polyval(np.maximum(ccd.data, 0), (1, *rule.polynomial)))
            ccd = ccdproc.gain_correct(ccd, self.gains[n] * u.electron / u.adu)
            seen = sections.detector or Area(0, 0, 0, 0)
            flips = sections.image.flip_x != seen.flip_x, sections.image.flip_y != seen.flip_y
            whole.data[self.areas[n].slices] = _flip(ccd.data, *flips)
        return whole

    def compute_noise(self, ccd: CCDData) -> NDArray[np.float64]:
        """Compute the noise of each pixel from its own value and the read noise [e-]."""
        import ccdproc
        from astropy import units as u

        sigma = np.zeros(ccd.shape)
        for area, gain, noise in zip(self.areas, self.gains, self.noises, strict=True):
            floor = max(noise, QUANTISATION * self.step * gain) * u.electron
            part = ccdproc.create_deviation(ccd[area.slices], readnoise=floor, disregard_nan=True)
            sigma[area.slices] = part.uncertainty.array
        return sigma


def _select_plane(image: NDArray[Any], header: RawHeader) -> NDArray[Any]:
    image = image[header.plane] if image.ndim == 3 else image
    if header.grid is not None:
        (rows, columns), (top, left) = header.shape, header.grid
        return image[top : 2 * rows : 2, left : 2 * columns : 2]
    return image


def _flip(image: NDArray[Any], flip_x: bool, flip_y: bool) -> NDArray[Any]:
    return image[:: -1 if flip_y else 1, :: -1 if flip_x else 1]


def _subtract_overscan(ccd: CCDData, image: Area, overscans: Sequence[Area], camera: Camera) -> CCDData:
    """Subtract the overscan level of one amplifier and trim it to its image area."""
    import ccdproc
    from astropy.modeling.models import Chebyshev1D
    from astropy.nddata import CCDData

    if not overscans:
        return ccdproc.trim_image(ccd, str(replace(image, flip_x=False, flip_y=False)))
    method = camera.overscan_method
    bottom, top = 0, ccd.shape[0]
    if method == "row_running":
        level = OverscanMethods[method].find_level(ccd.data, overscans)
        ccd = ccd.subtract(CCDData(np.broadcast_to(level.value, ccd.shape), unit="adu"))
    elif method in ("row_mean", "row_median", "smooth"):
        bottom, top = max(area.ymin for area in overscans), min(area.ymax for area in overscans)
        beside = np.hstack([ccd.data[bottom:top, area.xmin : area.xmax] for area in overscans])
        ccd = ccdproc.subtract_overscan(
            ccd[bottom:top],
            CCDData(beside, unit="adu"),
            median=method == "row_median",
            model=Chebyshev1D(SMOOTH_ORDER) if method == "smooth" else None,
        )
    else:
        values = np.concatenate([ccd.data[area.slices].ravel() for area in overscans])
        values = _clip(values) if method == "clipped_mean" else values
        ccd = ccdproc.subtract_overscan(ccd, CCDData(values[np.newaxis], unit="adu"), median=method == "median")
    kept = Area(image.xmin, image.xmax, image.ymin - bottom, image.ymax - bottom)
    return ccdproc.trim_image(ccd, str(kept))


def _clip(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keep values within 3.5 rstd of the median, in one pass, like `clipped_mean` of nightcal."""
    from astropy.stats import mad_std, sigma_clip

    spread = max(float(mad_std(values)), QUANTISATION)
    kept = sigma_clip(values, sigma=3.5, maxiters=1, cenfunc="median", stdfunc=lambda _, axis=None: spread)
    return np.asarray(kept.compressed())
