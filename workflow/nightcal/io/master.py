"""Read masters and convert them to electrons."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import count, takewhile
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from nightcal.errors import UNREADABLE, blame_machine
from nightcal.flags import MASK_DTYPE, Flag, MaskBits
from nightcal.io.file_content import hash_file
from nightcal.io.sections import Area, parse_section

PER_SECOND = ("/s", "s-1", "s**-1")
"""Endings of the unit of a dark per second."""

MASK_DTYPES: dict[int, np.dtype[Any]] = {8: np.dtype(np.uint8), 16: np.dtype(">i2")}
"""Data types of stored masks, by BITPIX; masters of early versions have 8 bits."""

ADU = ("adu", "dn", "count", "ct")
"""Beginnings of the unit of an image in ADU."""


@dataclass(frozen=True, slots=True)
class StoredPlane:
    """Image of a product on disk; ``plane[start:stop]`` reads some rows.

    Attributes
    ----------
    path : Path
    start : int
        Position of the first pixel in the file [bytes].
    dtype : data type
        Data type in the file.
    shape : (int, int)
    scale : float
        Factor applied to the values.
    squared : bool
        Whether values are squared first, as for a variance from an uncertainty.
    """

    path: Path
    start: int
    dtype: np.dtype[Any]
    shape: tuple[int, int]
    scale: float = 1.0
    squared: bool = False

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        start, stop, _ = rows.indices(self.shape[0])
        width = self.shape[1]
        place = self.start + start * width * self.dtype.itemsize
        stored = np.fromfile(self.path, self.dtype, max(0, stop - start) * width, offset=place)
        image = stored.reshape(-1, width).astype(self.dtype.newbyteorder("="), copy=False)
        if self.squared:
            image *= image
        if self.scale != 1.0:
            image *= image.dtype.type(self.scale)
        return image

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype=dtype)

    def __mul__(self, factor: float) -> StoredPlane:
        return replace(self, scale=self.scale * factor)


Plane = NDArray[Any] | StoredPlane


@dataclass(frozen=True, slots=True, repr=False)
class MasterFrame:
    """Master to apply to frames: image, variance, mask and header.

    Images are arrays, or stay on disk and are read by rows; ``np.asarray`` converts both to arrays. ``factor`` has been
    applied to them, for frames that are sums of several readouts. ``verdict`` and ``age`` are words, empty if nobody
    judged the master. The properties read keywords that nightcal writes; masters of other programs lack them.
    """

    data: Plane
    variance: Plane
    mask: Plane
    header: fits.Header
    name: str
    digest: str
    unit: str
    factor: float = 1.0
    verdict: str = ""
    age: str = ""

    def __repr__(self) -> str:
        return f"MasterFrame({self.name!r}, {self.data.shape}, {self.unit!r})"

    @property
    def why_empty(self) -> str:
        """Reason why the master is empty; an empty string if it is not."""
        return str(self.header.get("EMPTY", ""))

    @property
    def kind(self) -> str:
        """Kind of master: ``bias``, ``dark``, ``flat`` or ``bpm``; an empty string if unknown."""
        return str(self.header.get("MASTER", ""))

    @property
    def filter(self) -> str:
        """Filter of a flat."""
        return str(self.header.get("FILTER", ""))

    @property
    def skipped(self) -> list[str]:
        """Calibration steps that were skipped for its frames."""
        return [step for step in str(self.header.get("SKIPPED", "")).split(",") if step]

    @property
    def n_frames(self) -> int:
        """Number of frames or masters it is made from."""
        return int(self.header.get("NCOMBINE", 1))

    @property
    def n_summed(self) -> int:
        """Number of readouts that were summed at the telescope for each of its frames."""
        return int(self.header.get("NSUMMED", 1))

    @property
    def row_order(self) -> str:
        """Order in which rows are stored (``ROWORDER``), in lower case; empty if unknown."""
        return str(self.header.get("NCROWS", "")).lower()

    @property
    def mjd(self) -> float | None:
        """Mean mid-exposure time of its frames [UTC]; None if unknown."""
        return self._read_number("MJD-AVG")

    @property
    def gain(self) -> float | None:
        """Gain used for its frames [e-/ADU]; None if unknown."""
        return self._read_number("GAINUSED")

    @property
    def flat_level(self) -> float:
        """Mean signal of the frames of a flat [e-]; 0 if unknown."""
        return self._read_number("FLATLVL") or 0.0

    @property
    def bias_digest(self) -> str:
        """First digits of the SHA-256 of the master bias subtracted from its frames."""
        return str(self.header.get("BIASSHA", ""))

    @property
    def pedestal_exposure(self) -> float:
        """Exposure time of the darks that serve as bias, of a bias or of the frames of a dark [s]; 0 for none."""
        seconds = self._read_number("PEDEXP")
        return seconds * self.factor if seconds is not None and 0 < seconds < math.inf else 0.0

    @property
    def effective_exposure_time(self) -> float | None:
        """Exposure time by which a dark divides an error of the bias [s]; None if unknown."""
        return self._read_number("DARKTEFF")

    @property
    def exposure_time(self) -> float | None:
        """Exposure time of a dark that is not per second [s]; None if unknown."""
        seconds = None if self.unit.endswith(PER_SECOND) else self._read_number("EXPTIME")
        return seconds if seconds is not None and seconds > 0 else None

    @property
    def longest_exposure_time(self) -> float | None:
        """Longest exposure time of the frames of a dark [s]; None if unknown."""
        numbers = (self._read_number("EXPMAX"), self.effective_exposure_time, self.exposure_time)
        seconds = next((number for number in numbers if number is not None), None)
        return seconds if seconds is not None and seconds > 0 else None

    @property
    def amplifier_areas(self) -> list[Area]:
        """Areas of the amplifiers inside the image; empty for a single amplifier."""
        sections = takewhile(bool, (self.header.get(f"AMPSEC{n:02d}") for n in count(1)))
        areas = [parse_section(text) for text in sections]
        return [area for area in areas if area is not None and area.fits_in(self.data.shape)]

    def find_pedestal_variance(self, gain: float) -> float:
        """Find the variance of the dark current in a bias made of darks, for a gain [e-/ADU]; 0 if unknown [e-^2]."""
        variance = self._read_number("PEDVAR") if self.pedestal_exposure > 0 else None
        scale = self.factor * (gain / (self.gain or gain)) ** 2
        return variance * scale if variance is not None and 0 < variance < math.inf else 0.0

    def read_noise_in_adu(self, amplifier: int) -> float | None:
        """Read the noise measured in a bias for an amplifier, counted from 1 [ADU]; None if unknown."""
        return self._read_number(f"RNADU{amplifier}")

    def _read_number(self, keyword: str) -> float | None:
        value = self.header.get(keyword)
        return float(value) if isinstance(value, int | float) else None


def load_master(path: str | PathLike[str]) -> MasterFrame:
    """Open a master.

    Parameters
    ----------
    path : path
        A product of nightcal, or any FITS image. Without an ``UNCERT`` extension the uncertainty is 0; without ``MASK``
        all pixels are good.

    Returns
    -------
    MasterFrame
        The pixels of a product of nightcal stay on disk.

    Raises
    ------
    ValueError
        If the file cannot be read or contains no image.
    """
    path = Path(path)
    try:
        with fits.open(path, memmap=False) as hdus:
            images = [hdu for hdu in hdus if hdu.is_image and hdu.header["NAXIS"] == 2]
            if not images:
                raise ValueError("the file contains no image")
            header = images[0].header.copy()
            planes = _locate_planes(path, hdus) or _read_planes(images[0], hdus)
    except UNREADABLE as reason:
        blame_machine(reason)
        raise ValueError(f"{path} cannot be read as a master ({reason})") from reason
    unit = "".join(str(header.get("BUNIT", "adu")).lower().split())
    return MasterFrame(*planes, header, path.name, hash_file(path), unit)


def load_if_path(master: MasterFrame | str | PathLike[str]) -> MasterFrame:
    """Load a master, unless already loaded; errors as for `load_master`."""
    return master if isinstance(master, MasterFrame) else load_master(master)


def load_optional_master(master: MasterFrame | str | PathLike[str] | None) -> MasterFrame | None:
    """Load a master, unless None or already loaded; errors as for `load_master`."""
    return None if master is None else load_if_path(master)


def _locate_planes(path: Path, hdus: fits.HDUList) -> tuple[Plane, Plane, Plane] | None:
    """Locate the image, uncertainty and mask of a product of nightcal; None for other files."""
    if [hdu.name for hdu in hdus[:3]] != ["PRIMARY", "UNCERT", "MASK"] or "NIGHTCAL" not in hdus[0].header:
        return None
    if hdus._file.compression or {hdu.header["BITPIX"] for hdu in hdus[:2]} != {-32}:
        return None
    mask = MASK_DTYPES.get(hdus[2].header["BITPIX"])
    if mask is None:
        return None
    places = [hdu.fileinfo()["datLoc"] for hdu in hdus[:3]]
    shape = hdus[0].shape
    if path.stat().st_size < places[2] + shape[0] * shape[1] * mask.itemsize:
        raise ValueError("the file is truncated")
    image = StoredPlane(path, places[0], np.dtype(">f4"), shape)
    error = StoredPlane(path, places[1], np.dtype(">f4"), shape, squared=True)
    return image, error, StoredPlane(path, places[2], mask, shape)


def _read_planes(image: Any, hdus: fits.HDUList) -> tuple[Plane, Plane, Plane]:
    """Read image, variance and mask of any FITS image; values that are not finite become 0 and are flagged."""
    names = [hdu.name for hdu in hdus]
    data = np.array(image.data, np.float32)
    error = np.array(hdus["UNCERT"].data, np.float32) if "UNCERT" in names else np.zeros_like(data)
    mask = np.zeros(data.shape, MASK_DTYPE)
    if "MASK" in names:
        stored = np.asarray(hdus["MASK"].data)
        ours = hdus["MASK"].header.get("BIT1") == "BAD"  # other programs have other bits
        mask = convert_bits(stored) if ours else np.where(stored != 0, Flag.BAD, MASK_DTYPE(0))
    undefined = ~(np.isfinite(data) & np.isfinite(error))
    mask[undefined] |= Flag.NO_DATA
    data[undefined], error[undefined] = 0.0, 0.0
    return data, error**2, mask


def find_dark_time(exposure_time: float, bias: MasterFrame | None) -> float:
    """Find the exposure time whose dark current is left in a frame after bias.

    Parameters
    ----------
    exposure_time : float
        [s]
    bias : MasterFrame or None

    Returns
    -------
    float
        [s]; less than the exposure time, possibly negative, if the bias is made of darks and contains dark current
        itself.
    """
    return exposure_time if bias is None else exposure_time - bias.pedestal_exposure


def convert_bits(image: Plane) -> MaskBits:
    """Convert the image of a bad pixel mask, which may have been read as numbers, to the bits that it holds."""
    return np.asarray(image).astype(MASK_DTYPE)


def convert_to_mask(master: MasterFrame) -> MasterFrame:
    """Convert a plain image of another program to a bad pixel mask: nonzero pixels are bad.

    Parameters
    ----------
    master : MasterFrame
        As returned by `load_master`.

    Returns
    -------
    MasterFrame
        Unchanged if it is a master of nightcal, or if it has a mask with more than ``NO_DATA``.
    """
    mask = np.asarray(master.mask)
    of_nightcal = "MASTER" in master.header or ("NIGHTCAL" in master.header and mask.any())
    if of_nightcal or (mask & ~Flag.NO_DATA).any():
        return master
    return replace(master, mask=np.where(np.asarray(master.data) != 0, Flag.BAD, mask))


def convert_to_electrons(name: str, master: MasterFrame, gain: float, per_second: bool) -> MasterFrame:
    """Convert a bias to electrons, or a dark to electrons per second, with the gain of the frame to calibrate.

    Parameters
    ----------
    name : str
        Name of the parameter, for messages.
    master : MasterFrame
        In ADU or electrons. Electrons of a different gain (``GAINUSED`` in the header) are scaled to this gain.
    gain : float
        [e-/ADU]
    per_second : bool
        True for a dark; a dark that is not per second is divided by its ``EXPTIME``.

    Returns
    -------
    MasterFrame

    Raises
    ------
    ValueError
        If the exposure time of a dark is unknown.
    """
    scale = gain if master.unit.startswith(ADU) else gain / (master.gain or gain)
    if per_second and not master.unit.endswith(PER_SECOND):
        if master.exposure_time is None:
            raise ValueError(
                f"{name} is {master.name} with BUNIT {master.unit!r} and EXPTIME {master.header.get('EXPTIME')!r}; "
                "expected a dark per second (BUNIT 'electron/s' or 'adu/s') or its exposure time"
            )
        scale /= master.exposure_time
    if scale == 1.0:
        return master
    return replace(master, data=master.data * scale, variance=master.variance * scale**2)
