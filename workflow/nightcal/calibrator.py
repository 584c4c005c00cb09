"""The low-level interface: calibrate one raw frame after another, with every parameter in the observer's hand.

from nightcal import Calibrator, OverscanMethods

calibrate = Calibrator(
    overscans=[dict(xmin=0, xmax=4096, ymin=0, ymax=20)],
    overscan_method=OverscanMethods.median,
    master_bias="masters/bias.fits",
    gain=16.0,
    image_area=dict(xmin=0, xmax=4096, ymin=20, ymax=4116),
)
calibrate.set_masters(dark="masters/dark.fits")
calibrate(raw="raw1.fits", calibrated="calibrated1.fits")
calibrate(raw="raw2.fits", calibrated="calibrated2.fits", gain=8.0)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from nightcal.detector.overscan import OverscanMethod, OverscanMethods
from nightcal.detector.readout import Electronics, Readout, UserMethod, as_area
from nightcal.errors import SetAside
from nightcal.fitsio import (
    Product,
    RawImage,
    file_hash,
    product_header,
    provenance,
    set_cards,
    warn,
    warnings_of,
    write_product,
)
from nightcal.flags import MASK_DTYPE, Flag
from nightcal.masters import Calibration, load_master
from nightcal.sections import Area

MasterLike = Calibration | str | PathLike[str] | None
AreaLike = Area | Mapping[str, int]

NO_DATA_SIGMA = 1e9
"""Uncertainty of a pixel that holds no data: finite, and of no weight."""

AGREEMENT = 3.0
EXPOSURE_CARDS = ("EXPTIME", "EXPOSURE")
UNITS = ("electron", "adu")
UNSET: Any = object()


@dataclass(kw_only=True, eq=False)
class Calibrator:
    """Calibrate raw frames with given parameters.

    Every parameter can be given here, set as an attribute, or given to one call for that call only.

    Parameters
    ----------
    overscans : sequence of dict or Area
        Overscan areas in the raw image: ``xmin``, ``xmax``, ``ymin``, ``ymax``, 0-based and half-open. None or empty:
        no overscan correction.
    overscan_method : OverscanMethod or function
        One of `OverscanMethods`, or any function ``(image, overscans) -> corrected image of floats``, where
        ``overscans`` is a list of dictionaries as above.
    master_bias, master_dark, master_flat, bad_pixels : path or Calibration, optional
        Masters of the shape of the image area; None is not applied. A master in ADU (``BUNIT``) is multiplied by the
        gain. A dark that is not per second is divided by its ``EXPTIME``. ``bad_pixels`` adds its mask.
    gain : float
        [e-/ADU]
    read_noise : float
        [e-], with the noise of digitisation in it.
    image_area : dict or Area, optional
        The light-sensitive pixels; None for the whole image.
    saturation : float, optional
        [ADU]; None for the largest value that the file's integers can hold.
    exposure : float, optional
        [s], for the dark; None to take it from ``EXPTIME`` or ``EXPOSURE``.
    unit : str
        ``electron`` or ``adu``, of the calibrated image.

    Raises
    ------
    ValueError, TypeError
        If a parameter is wrong; the message names it, its value and what was expected.

    Examples
    --------
    >>> calibrate = Calibrator(gain=1.5, read_noise=6.0)
    >>> calibrate.gain = -1
    Traceback (most recent call last):
        ...
    ValueError: gain is -1; expected a positive number of e-/ADU
    """

    overscans: Sequence[AreaLike] | None = ()
    overscan_method: OverscanMethod | UserMethod = OverscanMethods.median
    master_bias: MasterLike = None
    master_dark: MasterLike = None
    master_flat: MasterLike = None
    bad_pixels: MasterLike = None
    gain: float = 1.0
    read_noise: float = 0.0
    image_area: AreaLike | None = None
    saturation: float | None = None
    exposure: float | None = None
    unit: str = "electron"

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in CHECKS:
            raise AttributeError(f"{name} is not a parameter of Calibrator; expected one of {', '.join(CHECKS)}")
        object.__setattr__(self, name, CHECKS[name](name, value))

    def set_masters(
        self,
        *,
        bias: MasterLike = UNSET,
        dark: MasterLike = UNSET,
        flat: MasterLike = UNSET,
        bad_pixels: MasterLike = UNSET,
    ) -> None:
        """Set some masters; None takes one away, what is not given stays."""
        given = {"master_bias": bias, "master_dark": dark, "master_flat": flat, "bad_pixels": bad_pixels}
        for name, master in given.items():
            if master is not UNSET:
                setattr(self, name, master)

    def __call__(
        self, raw: str | PathLike[str], calibrated: str | PathLike[str], *, overwrite: bool = False, **this_call: Any
    ) -> None:
        """Calibrate one frame and write it.

        Parameters
        ----------
        raw : path
            Read, never written.
        calibrated : path
            The image, its error and its mask become the first three extensions.
        overwrite : bool
            Whether an existing file may be replaced.
        **this_call
            Parameters for this frame only.

        Raises
        ------
        FileExistsError
            If ``calibrated`` exists and may not be replaced, or is the raw frame.
        SetAside
            If the raw frame cannot be used.
        ValueError, TypeError
            If a parameter is wrong or does not fit the frame.
        """
        target = Path(calibrated)
        if target.exists() and target.samefile(raw):
            raise FileExistsError(f"calibrated is {target}, the raw frame itself; raw frames are never written")
        if target.exists() and not overwrite:
            raise FileExistsError(f"calibrated: {target} exists; pass overwrite=True to replace it")
        write_product(target, self.calibrate(raw, **this_call))

    def calibrate(self, raw: str | PathLike[str], **this_call: Any) -> Product:
        """Calibrate one frame in memory; parameters, results and errors as for a call."""
        if this_call:
            unknown = sorted(set(this_call) - set(CHECKS))
            if unknown:
                raise TypeError(f"{unknown[0]} is not a parameter of Calibrator; expected one of {', '.join(CHECKS)}")
            return replace(self, **this_call).calibrate(raw)
        with RawImage(Path(raw)) as image:
            readout = Readout(image, self._electronics())
            masters = self._masters(readout.shape)
            exposure = self._exposure(image) if masters["dark"] is not None else 0.0
            signal, flags = readout.read()
            calibrated = _apply(signal, flags, readout, exposure, **masters)
            header = product_header(image.header.cards)
            set_cards(
                header,
                [("RAWFILE", image.path.name, "raw frame"), ("RAWSHA", file_hash(image.path), "its SHA-256 begins")],
            )
            _describe(header, readout, exposure, masters)
            return self._in_unit(calibrated, header)

    def _electronics(self) -> Electronics:
        areas = self.overscans or ()
        return Electronics(
            overscans=tuple(as_area(area) for area in areas),
            overscan_method=self.overscan_method,
            image_area=None if self.image_area is None else as_area(self.image_area),
            gain=self.gain,
            read_noise=self.read_noise,
            saturation=self.saturation,
        )

    def _masters(self, shape: tuple[int, int]) -> dict[str, Calibration | None]:
        """Masters in electrons; one that holds no data counts as none."""
        found: dict[str, Calibration | None] = {}
        for step, name in (
            ("bias", "master_bias"),
            ("dark", "master_dark"),
            ("flat", "master_flat"),
            ("bpm", "bad_pixels"),
        ):
            master = getattr(self, name)
            if master is not None and master.refused:
                master = None
            if master is not None and master.data.shape != shape:
                raise ValueError(
                    f"{name} is {master.name} of {master.data.shape[1]} x {master.data.shape[0]} pixels; "
                    f"expected {shape[1]} x {shape[0]}, the image area of the frame"
                )
            if master is not None and step in ("bias", "dark"):
                master = _in_electrons(name, master, self.gain, per_second=step == "dark")
            found[step] = master
        return found

    def _exposure(self, image: RawImage) -> float:
        if self.exposure is not None:
            return self.exposure
        values = [image.header.value(card) for card in EXPOSURE_CARDS]
        seconds = next((value for value in values if value is not None), None)
        if not isinstance(seconds, int | float) or not math.isfinite(seconds) or seconds < 0:
            raise ValueError(
                f"exposure is None and the header's {' or '.join(EXPOSURE_CARDS)} is {seconds!r}; expected seconds, "
                "which a dark needs"
            )
        return float(seconds)

    def _in_unit(self, calibrated: _Calibrated, header: fits.Header) -> Product:
        set_cards(header, [("NMASKED", int(np.count_nonzero(calibrated.mask)), "pixels with a flag")])
        scale = 1.0 if self.unit == "electron" else 1.0 / self.gain
        empty = calibrated.mask & Flag.NO_DATA > 0
        uncertainty = np.sqrt(calibrated.variance) * scale
        uncertainty[empty & (calibrated.variance == 0)] = NO_DATA_SIGMA
        return Product(
            (calibrated.data * scale).astype(np.float32),
            uncertainty.astype(np.float32),
            calibrated.mask,
            self.unit,
            header,
        )


@dataclass(frozen=True, slots=True)
class _Calibrated:
    data: NDArray[np.float64]
    variance: NDArray[np.float64]
    mask: NDArray[np.uint8]


def expected_signal(signal: NDArray[np.float64], floor: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Signal whose shot noise a pixel has: the mean of its 3 x 3 neighbourhood, its own where it stands out.

    Parameters
    ----------
    signal : ndarray of float64, shape (ny, nx)
        Measured signal [e-].
    floor : array_like, broadcastable to (ny, nx)
        Variance without signal [e-^2].

    Returns
    -------
    ndarray of float64, shape (ny, nx)
        [e-], never negative.

    Notes
    -----
    A variance from the pixel's own value is too small where noise made the value low and too large where it made it
    high: (measured - true) / sigma then has a mean of -1 / (2 sigma), and weights 1 / sigma^2 pull every mean down by
    about one electron. The mean of nine pixels takes most of that away. In the cores of stars it would be wrong, so a
    pixel that differs from it by more than 3 sigma keeps its own value.
    """
    smooth = np.maximum(uniform_filter(signal, 3, mode="nearest"), 0)
    agrees = (signal - smooth) ** 2 <= AGREEMENT**2 * (smooth + floor)
    return np.where(agrees, smooth, np.maximum(signal, 0))


def _apply(
    signal: NDArray[np.float64],
    flags: NDArray[np.uint8],
    readout: Readout,
    exposure: float,
    bias: Calibration | None,
    dark: Calibration | None,
    flat: Calibration | None,
    bpm: Calibration | None,
) -> _Calibrated:
    """Bias, dark and flat with their errors: ``data = (S - t D) / F``."""
    mask = flags.copy()
    empty = flags & Flag.NO_DATA > 0
    signal[empty] = 0.0
    for master in (bias, dark, flat, bpm):
        if master is not None:
            mask |= master.mask
    variance = np.full(signal.shape, readout.electronics.read_noise**2)
    variance += _of_area(readout)
    if bias is not None:
        signal -= bias.data
        variance += bias.variance
    variance += expected_signal(signal, variance)
    if dark is not None:
        signal -= exposure * dark.data
        variance += exposure**2 * dark.variance
        variance -= _shared_bias(bias, dark, exposure)
    if flat is not None:
        divisor = np.where(flat.data > 0, flat.data, 1.0)
        signal /= divisor
        variance = (variance + signal**2 * flat.variance) / divisor**2
        mask[flat.data <= 0] |= Flag.LOW_FLAT
    signal[empty], variance[empty] = 0.0, 0.0
    return _Calibrated(signal, variance, mask)


def _of_area(readout: Readout) -> NDArray[np.float64]:
    variance = readout.level_variance
    return variance[:, readout.area.slices[1]] if variance.ndim == 2 and variance.shape[1] > 1 else variance


def _shared_bias(bias: Calibration | None, dark: Calibration | None, exposure: float) -> NDArray[np.float64] | float:
    """Variance counted twice when the dark was made with the very bias that is subtracted here [e-^2].

    Then ``S - B - t (X - B) / t_d`` holds the bias with a weight of ``1 - t / t_d`` only: for an exposure as long as
    the dark's, it cancels.
    """
    if bias is None or dark is None or dark.header.get("BIASSHA") != bias.digest:
        return 0.0
    return 2 * exposure / float(dark.header["DARKTEFF"]) * bias.variance


def _in_electrons(name: str, master: Calibration, gain: float, per_second: bool) -> Calibration:
    """Bring a bias to electrons, a dark to electrons per second."""
    scale = gain if master.unit.startswith("adu") else 1.0
    if per_second and not master.unit.endswith(("/s", "s-1", "s**-1")):
        seconds = master.header.get("EXPTIME")
        if not isinstance(seconds, int | float) or not seconds > 0:
            raise ValueError(
                f"{name} is {master.name} with BUNIT {master.unit!r} and EXPTIME {seconds!r}; expected a dark per "
                "second (BUNIT 'electron/s' or 'adu/s') or its exposure time"
            )
        scale /= seconds
    return master if scale == 1.0 else replace(master, data=master.data * scale, variance=master.variance * scale**2)


def _describe(
    header: fits.Header, readout: Readout, exposure: float, masters: Mapping[str, Calibration | None]
) -> None:
    """Write what was done, with what, into the header."""
    electronics, area = readout.electronics, readout.area
    level = readout.level
    method = electronics.overscan_method
    method_name = str(getattr(method, "name", None) or getattr(method, "__name__", "function"))
    provenance(header, asdict(electronics) | {"overscan_method": method_name, "saturation": readout.saturation})
    cards: list[tuple[str, Any, str]] = [
        ("GAINUSED", electronics.gain, "[electron/adu]"),
        ("RNUSED", electronics.read_noise, "[electron]"),
        ("OVSCCOR", level is not None, "overscan level subtracted"),
    ]
    if math.isfinite(readout.saturation):
        cards.append(("SATUSED", readout.saturation, "[adu] raw values from here on are saturated"))
    if level is not None:
        cards += [
            ("OVSCLEV", float(np.mean(level.value)), "[adu] mean overscan level"),
            ("OVSCMETH", method_name, "overscan method"),
        ]
        for n, overscan in enumerate(electronics.overscans, start=1):
            cards.append((f"OVSC{n:04d}", str(overscan), "overscan area"))
    if area.shape != readout.image.shape:
        cards.append(("TRIMMED", str(area), "area of the raw image that is kept"))
        _shift_wcs(header, area)
    for step, master in masters.items():
        cards.append((f"{step.upper()}COR", master is not None, f"{step} applied"))
        if master is not None:
            cards += [
                (f"{step.upper()}MAST", master.name, f"master {step}"),
                (f"{step.upper()}SHA", master.digest, "its SHA-256 begins"),
            ]
            if "MJDMEAN" in master.header:
                cards.append((f"{step.upper()}MJD", master.header["MJDMEAN"], "its mean time"))
            for text in warnings_of(master.header):
                warn(header, text)
    if masters["dark"] is not None:
        cards.append(("DARKTIME", exposure, "[s] by which the dark was multiplied"))
    set_cards(header, cards)
    skipped = [step for step in ("bias", "dark", "flat") if masters[step] is None]
    if skipped:
        set_cards(header, [("SKIPPED", ",".join(skipped), "steps that were not applied")])


def _shift_wcs(header: fits.Header, area: Area) -> None:
    """Move the reference pixels of every WCS with the corner of the trimmed image."""
    for keyword in list(header):
        for axis, start in (("1", area.xmin), ("2", area.ymin)):
            if start and keyword.startswith(f"CRPIX{axis}") and len(keyword) <= len("CRPIX1A"):
                header[keyword] -= start


def _positive(expected: str) -> Callable[[str, Any], float]:
    def check(name: str, value: Any) -> float:
        if not _finite(value) or value <= 0:
            raise ValueError(f"{name} is {value!r}; expected {expected}")
        return float(value)

    return check


def _not_negative(expected: str) -> Callable[[str, Any], float]:
    def check(name: str, value: Any) -> float:
        if not _finite(value) or value < 0:
            raise ValueError(f"{name} is {value!r}; expected {expected}")
        return float(value)

    return check


def _or_none(check: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    return lambda name, value: None if value is None else check(name, value)


def _finite(value: Any) -> bool:
    return (
        isinstance(value, int | float | np.integer | np.floating)
        and not isinstance(value, bool)
        and math.isfinite(value)
    )


def _check_area(name: str, value: Any) -> Area:
    try:
        return as_area(value)
    except ValueError as error:
        raise ValueError(f"{name} is {value!r}; {error}") from error


def _check_areas(name: str, value: Any) -> tuple[Area, ...]:
    if value is None:
        return ()
    if isinstance(value, Mapping | str) or not isinstance(value, Sequence):
        raise TypeError(f"{name} is {value!r}; expected a list of areas, each with xmin, xmax, ymin and ymax")
    return tuple(_check_area(f"{name}[{i}]", entry) for i, entry in enumerate(value))


def _check_method(name: str, value: Any) -> Any:
    if not callable(value):
        raise TypeError(
            f"{name} is {value!r}; expected a method of OverscanMethods or a function of image and overscans"
        )
    return value


def _check_master(name: str, value: Any) -> Calibration:
    if isinstance(value, Calibration):
        return value
    if not isinstance(value, str | PathLike):
        raise TypeError(f"{name} is {value!r}; expected a file name, a loaded master, or None")
    try:
        return load_master(Path(value))
    except ValueError as error:
        raise ValueError(f"{name} is {str(value)!r}; expected a FITS image: {error}") from error


def _check_unit(name: str, value: Any) -> str:
    if value not in UNITS:
        raise ValueError(f"{name} is {value!r}; expected one of {', '.join(UNITS)}")
    return str(value)


CHECKS: Mapping[str, Callable[[str, Any], Any]] = {
    "overscans": _check_areas,
    "overscan_method": _check_method,
    "master_bias": _or_none(_check_master),
    "master_dark": _or_none(_check_master),
    "master_flat": _or_none(_check_master),
    "bad_pixels": _or_none(_check_master),
    "gain": _positive("a positive number of e-/ADU"),
    "read_noise": _not_negative("e- of 0 or more"),
    "image_area": _or_none(_check_area),
    "saturation": _or_none(_positive("ADU above 0")),
    "exposure": _or_none(_not_negative("seconds of 0 or more")),
    "unit": _check_unit,
}


def refused_product(
    shape: tuple[int, int], reason: str, unit: str = "electron", raw: fits.Header | None = None
) -> Product:
    """Stand in for a frame that could not be calibrated: no data, every pixel flagged, the reason in the header.

    Parameters
    ----------
    shape : (int, int)
    reason : str
        In one plain sentence.
    unit : str
    raw : astropy.io.fits.Header, optional
        Cards of the raw frame, if they could be read.

    Returns
    -------
    Product
    """
    header = fits.Header() if raw is None else product_header(raw)
    provenance(header, {})
    set_cards(header, [("REFUSED", reason, "why there is no data"), ("SKIPPED", "bias,dark,flat", "steps not applied")])
    mask = np.full(shape, Flag.NO_DATA, dtype=MASK_DTYPE)
    return Product(np.zeros(shape, np.float32), np.full(shape, NO_DATA_SIGMA, np.float32), mask, unit, header)


__all__ = ["Calibrator", "OverscanMethods", "SetAside", "expected_signal", "refused_product"]
