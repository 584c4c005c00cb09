"""The low-level interface: calibrate raw frames one by one, with full control over every parameter.

Calibrate two raw frames, the second with a different gain::

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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nightcal.cameras.amplifiers import UNKNOWN_READ_NOISE
from nightcal.cameras.camera import Camera
from nightcal.detector.amplifier import Amplifier, UserMethod
from nightcal.detector.mosaic_readout import open_readout
from nightcal.detector.overscan import OverscanMethods, measure_read_noise
from nightcal.detector.readout import Readout
from nightcal.detector.saturation import NO_BLEED, Bleed
from nightcal.io.keywords import set_cards, warn
from nightcal.io.master import MasterFrame
from nightcal.io.raw_image import Buffer, RawImage
from nightcal.io.sections import Area, as_area
from nightcal.science.camera_parameters import read_parameters
from nightcal.science.ccd_data import RawLike, make_ccd_data, open_as_file
from nightcal.science.master_rows import PARAMETERS, MasterCache
from nightcal.science.parameter_checks import CHECKS
from nightcal.science.prepared_frame import PreparedFrame, prepare_frame

if TYPE_CHECKING:
    from astropy.io import fits
    from astropy.nddata import CCDData

MasterLike = MasterFrame | str | PathLike[str] | None
AreaLike = Area | Mapping[str, int]
BleedLike = Bleed | Mapping[str, Any] | None

EXPOSURE_CARDS = ("EXPTIME", "EXPOSURE")
UNKNOWN = "unknown"
UNSET: Any = object()


@dataclass(kw_only=True, eq=False)
class Calibrator:
    """Calibrate raw frames with given parameters.

    Parameters can be given to the constructor, set as attributes, or passed to a call for that call only.

    Parameters
    ----------
    overscans : sequence of dict or Area
        Overscan areas in the raw image: ``xmin``, ``xmax``, ``ymin``, ``ymax``, 0-based and half-open. None or empty
        for no overscan correction.
    overscan_method : OverscanMethods, function or astropy model
        One of `OverscanMethods`; a function ``(image, overscans) -> corrected image of floats``, where ``overscans`` is
        the dictionary of the overscan area, or a list of dictionaries for several areas; or an `astropy.modeling` model
        of one input, fitted by ``ccdproc.subtract_overscan``.
    master_bias, master_dark, master_flat, bad_pixels : path or MasterFrame, optional
        Masters with the shape of the image area; None to skip the step. The header must not name another kind of
        master. A master in ADU (``BUNIT``) is multiplied by the gain; a dark that is not per second is divided by its
        ``EXPTIME``. ``bad_pixels`` adds its mask.
    gain : float
        [e-/ADU]
    read_noise : float, optional
        [e-], including digitisation noise. None to measure it in the overscan of each frame; without overscan it is
        taken as 0, with a warning in the header.
    image_area : dict or Area, optional
        Light-sensitive pixels; None for the whole image.
    saturation : float, optional
        [ADU]; None for the largest value of the file's integers.
    linearity : float, optional
        [ADU]; raw values at or above are flagged like saturated ones. None for no limit below saturation.
    bleed : Bleed or dict, optional
        Bleeding of saturated pixels: ``directions``, any of ``up`` (towards higher y), ``down``, ``left`` and
        ``right``, and ``pixels``, the length of the trail. None for no bleeding.
    exposure_time : float, optional
        [s], for the dark; None for ``EXPTIME`` or ``EXPOSURE`` in the header.
    unit : str
        Unit of the calibrated image, ``electron`` or ``adu``.
    amplifiers : sequence of Amplifier, optional
        For frames of several amplifiers, in place of ``overscans``, ``overscan_method``, ``gain``, ``read_noise``,
        ``image_area`` and ``saturation``.
    binning : (int, int)
        In x and y, for frames of several amplifiers.
    crosstalk : sequence of sequence of float
        Row ``i``, column ``j``: the fraction of the signal of amplifier ``i`` that appears on ``j``; empty for none.

    Raises
    ------
    ValueError, TypeError
        If a parameter is wrong; the message has its name, its value and the expected value.

    Examples
    --------
    >>> calibrate = Calibrator(gain=1.5, read_noise=6.0)
    >>> calibrate.gain = -1
    Traceback (most recent call last):
        ...
    ValueError: gain is -1; expected a positive number of e-/ADU
    """

    overscans: Sequence[AreaLike] | None = ()
    overscan_method: OverscanMethods | UserMethod = OverscanMethods.median
    master_bias: MasterLike = None
    master_dark: MasterLike = None
    master_flat: MasterLike = None
    bad_pixels: MasterLike = None
    gain: float = 1.0
    read_noise: float | None = None
    image_area: AreaLike | None = None
    saturation: float | None = None
    linearity: float | None = None
    bleed: BleedLike = None
    exposure_time: float | None = None
    unit: str = "electron"
    amplifiers: Sequence[Amplifier] | None = None
    binning: Sequence[int] = (1, 1)
    crosstalk: Sequence[Sequence[float]] = ()
    _cache: MasterCache = field(default_factory=MasterCache, init=False, repr=False)
    _buffer: Buffer = field(default_factory=Buffer, init=False, repr=False)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("_cache", "_buffer"):
            object.__setattr__(self, name, value)
            return
        if name not in CHECKS:
            raise AttributeError(f"{name} is not a parameter of Calibrator; expected one of {', '.join(CHECKS)}")
        object.__setattr__(self, name, CHECKS[name](name, value))

    @classmethod
    def from_camera(
        cls, camera: Camera | str | PathLike[str], header: fits.Header | str | PathLike[str], **parameters: Any
    ) -> Calibrator:
        """Take the parameters from a camera file and the header of a frame.

        Parameters
        ----------
        camera : Camera or path
            A camera file, as in ``config/cameras``.
        header : astropy.io.fits.Header or path
            Header of a raw frame, or its path.
        **parameters
            Override camera file and header.

        Returns
        -------
        Calibrator
            With overscan areas and method, image area, gain, read noise, saturation, linearity and bleeding; for
            several amplifiers with ``amplifiers``, ``binning`` and ``crosstalk``.

        Raises
        ------
        FrameRejectedError
            If the header is invalid.
        ValueError
            If neither header nor camera file nor ``gain`` gives the gain.
        ConfigurationError
            If the camera file is wrong.
        """
        return cls(**read_parameters(camera, header, parameters) | parameters)

    def set_masters(
        self,
        *,
        bias: MasterLike = UNSET,
        dark: MasterLike = UNSET,
        flat: MasterLike = UNSET,
        bad_pixels: MasterLike = UNSET,
    ) -> None:
        """Set some of the masters and keep the others; None removes a master.

        Parameters
        ----------
        bias, dark, flat, bad_pixels : path, MasterFrame or None
            As the parameters ``master_bias``, ``master_dark``, ``master_flat`` and ``bad_pixels``.

        Raises
        ------
        TypeError, ValueError
            If a master has another type or cannot be read.
        """
        given = {"master_bias": bias, "master_dark": dark, "master_flat": flat, "bad_pixels": bad_pixels}
        for name, master in given.items():
            if master is not UNSET:
                setattr(self, name, master)

    def __call__(
        self,
        raw: RawLike,
        calibrated: str | PathLike[str],
        *,
        header: Mapping[str, Any] | None = None,
        overwrite: bool = False,
        **this_call: Any,
    ) -> None:
        """Calibrate one frame and write it.

        Parameters
        ----------
        raw : path, CCDData or ndarray
            A raw file is never changed. A `CCDData` must be in ADU.
        calibrated : path
            The image is in the primary HDU, followed by uncertainty and mask.
        header : mapping, optional
            Header of an array.
        overwrite : bool
            Whether to replace an existing file.
        **this_call
            Parameters for this frame only.

        Raises
        ------
        FileExistsError
            If ``calibrated`` exists and ``overwrite`` is False, or if it is the raw frame.
        FileNotFoundError
            If the raw frame does not exist.
        FrameRejectedError
            If the raw frame is unusable.
        ValueError, TypeError
            If a parameter is wrong or does not fit the frame.
        """
        target = Path(calibrated)
        if target.exists() and isinstance(raw, str | PathLike) and Path(raw).exists() and target.samefile(raw):
            raise FileExistsError(f"calibrated is {target}, the raw frame itself; raw frames are never written")
        if target.name.lower().endswith((".gz", ".fz")):
            raise ValueError(
                f"calibrated is {str(target)!r}; expected a name that ends in .fits: products are plain FITS"
            )
        if target.exists() and not overwrite:
            raise FileExistsError(f"calibrated: {target} exists; pass overwrite=True to replace it")
        with open_as_file(raw, header) as path:
            self.prepare(path, **this_call).write(target)

    def calibrate(self, raw: RawLike, *, header: Mapping[str, Any] | None = None, **this_call: Any) -> CCDData:
        """Calibrate one frame in memory; parameters and errors as for a call.

        Returns
        -------
        CCDData
            With `StdDevUncertainty`, mask, unit, WCS and header; ``flags`` has the bits of the mask.
        """
        with open_as_file(raw, header) as path:
            return make_ccd_data(self.prepare(path, **this_call).product())

    def prepare(self, raw: str | PathLike[str], **this_call: Any) -> PreparedFrame:
        """Read one frame and make the header of its product, without calibrating pixels.

        Parameters
        ----------
        raw : path
        **this_call
            Parameters for this frame only.

        Returns
        -------
        PreparedFrame

        Raises
        ------
        FrameRejectedError, ValueError, TypeError
            As for a call.
        """
        if this_call:
            unknown = sorted(set(this_call) - set(CHECKS))
            if unknown:
                raise TypeError(f"{unknown[0]} is not a parameter of Calibrator; expected one of {', '.join(CHECKS)}")
            other = replace(self, **this_call)
            other._cache, other._buffer = self._cache, self._buffer
            return other.prepare(raw)
        image = RawImage(Path(raw))
        readout, read_noise_source = self._open(image)
        given = {step: getattr(self, name) for step, name in PARAMETERS.items()}
        masters = self._cache.fit(given, readout.shape, readout.gain)
        exposure_time = self._read_exposure_time(image) if masters.need_exposure_time else 0.0
        prepared = prepare_frame(readout, masters, exposure_time, self.unit, self._buffer)
        if read_noise_source:
            set_cards(prepared.header, {"RNSRC": read_noise_source})
            if read_noise_source == UNKNOWN:
                warn(prepared.header, UNKNOWN_READ_NOISE)
        return prepared

    def _open(self, image: RawImage) -> tuple[Readout, str]:
        """Open a frame; also return the source of its read noise, unless given."""
        binning = self.binning[0], self.binning[1]
        if self.amplifiers:
            return open_readout(image, self.amplifiers, binning, self.crosstalk), ""
        amplifier = self._make_amplifier()
        readout = open_readout(image, [amplifier], binning, self.crosstalk)
        if self.read_noise is not None:
            return readout, ""
        if not amplifier.overscans:
            return readout, UNKNOWN
        image.hold(self._buffer)
        noise = self.gain * measure_read_noise(image.read(), amplifier.overscans)
        return open_readout(image, [replace(amplifier, read_noise=noise)], binning, self.crosstalk), "overscan"

    def _make_amplifier(self) -> Amplifier:
        return Amplifier(
            overscans=tuple(as_area(area) for area in self.overscans or ()),
            overscan_method=self.overscan_method,
            image_area=None if self.image_area is None else as_area(self.image_area),
            gain=self.gain,
            read_noise=self.read_noise or 0.0,
            saturation=self.saturation,
            linearity=self.linearity,
            bleed=self.bleed if isinstance(self.bleed, Bleed) else NO_BLEED,
        )

    def _read_exposure_time(self, image: RawImage) -> float:
        if self.exposure_time is not None:
            return self.exposure_time
        values = [image.header.value(card) for card in EXPOSURE_CARDS]
        seconds = next((value for value in values if value is not None), None)
        if not isinstance(seconds, int | float) or not math.isfinite(seconds) or seconds < 0:
            raise ValueError(
                f"exposure_time is None and the header's {' or '.join(EXPOSURE_CARDS)} is {seconds!r}; expected "
                "seconds, which a dark, or a bias made of darks, needs"
            )
        return float(seconds)


__all__ = ["Calibrator", "OverscanMethods"]
