"""A master as it is used: read from disk, in electrons."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from nightcal.errors import UNREADABLE, blame_machine
from nightcal.flags import MASK_DTYPE, Flag
from nightcal.io.checksum import hash_file

PER_SECOND = ("/s", "s-1", "s**-1")
"""What units of a dark per second end in."""

ADU = ("adu", "dn", "count", "ct")
"""What units of a raw image begin with."""


@dataclass(frozen=True, slots=True)
class StoredPlane:
    """An image of a product on disk, read by rows: ``plane[start:stop]`` is an array, as it is of an array.

    Attributes
    ----------
    path : Path
    start : int
        Where the pixels begin in the file.
    dtype : data type
        As stored.
    shape : (int, int)
    scale : float
        By which the numbers are multiplied.
    squared : bool
        Whether they are squared first: a variance from an uncertainty.
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


@dataclass(frozen=True, slots=True)
class MasterFrame:
    """A master as it is used: image and variance [e- or e-/s], mask, and where it came from.

    Images are arrays, or stay on disk and are read by rows; ``np.asarray`` makes an array of either.
    """

    data: Plane
    variance: Plane
    mask: Plane
    header: fits.Header
    name: str
    digest: str
    unit: str

    @property
    def refused(self) -> str:
        """Why the master holds nothing; empty for a good one."""
        return str(self.header.get("EMPTY", ""))


def load_master(path: Path) -> MasterFrame:
    """Open a master.

    Parameters
    ----------
    path : Path
        A product of nightcal, or any FITS image; without an ``UNCERT`` extension its error is taken to be 0, without
        ``MASK`` all its pixels to be good.

    Returns
    -------
    MasterFrame
        The pixels of a product of nightcal are not yet read.

    Raises
    ------
    ValueError
        If the file cannot be read or holds no image.
    """
    try:
        with fits.open(path, memmap=False) as hdus:
            images = [hdu for hdu in hdus if hdu.is_image and hdu.header["NAXIS"] == 2]
            if not images:
                raise ValueError("it holds no image")
            header = images[0].header.copy()
            planes = _stored(path, hdus) or _loaded(images[0], hdus)
    except UNREADABLE as reason:
        blame_machine(reason)
        raise ValueError(f"{path} cannot be read as a master ({reason})") from reason
    unit = "".join(str(header.get("BUNIT", "adu")).lower().split())
    return MasterFrame(*planes, header, Path(path).name, hash_file(Path(path)), unit)


def _stored(path: Path, hdus: fits.HDUList) -> tuple[Plane, Plane, Plane] | None:
    """Planes of a product of nightcal, all finite and well aligned; None for any other file."""
    if [hdu.name for hdu in hdus[:3]] != ["PRIMARY", "UNCERT", "MASK"] or "NIGHTCAL" not in hdus[0].header:
        return None
    if hdus._file.compression or {hdu.header["BITPIX"] for hdu in hdus[:2]} != {-32} or hdus[2].header["BITPIX"] != 8:
        return None
    places = [hdu.fileinfo()["datLoc"] for hdu in hdus[:3]]
    shape = hdus[0].shape
    if path.stat().st_size < places[2] + shape[0] * shape[1]:
        raise ValueError("it is truncated")
    image = StoredPlane(path, places[0], np.dtype(">f4"), shape)
    error = StoredPlane(path, places[1], np.dtype(">f4"), shape, squared=True)
    return image, error, StoredPlane(path, places[2], np.dtype(MASK_DTYPE), shape)


def _loaded(image: Any, hdus: fits.HDUList) -> tuple[Plane, Plane, Plane]:
    """Planes of any FITS image; what is not finite becomes 0 and is flagged."""
    names = [hdu.name for hdu in hdus]
    data = np.array(image.data, np.float32)
    error = np.array(hdus["UNCERT"].data, np.float32) if "UNCERT" in names else np.zeros_like(data)
    mask = np.zeros(data.shape, MASK_DTYPE)
    if "MASK" in names:
        stored = np.asarray(hdus["MASK"].data)
        mask = stored.astype(MASK_DTYPE)
        mask[(mask == 0) & (stored != 0)] = Flag.BAD  # a bit that is none of ours
    undefined = ~(np.isfinite(data) & np.isfinite(error))
    mask[undefined] |= Flag.NO_DATA
    data[undefined], error[undefined] = 0.0, 0.0
    return data, error**2, mask


def as_mask(master: MasterFrame) -> MasterFrame:
    """Take a plain image, of another program, for a bad pixel mask: what is not 0 is bad.

    Parameters
    ----------
    master : MasterFrame
        As `load_master` read it.

    Returns
    -------
    MasterFrame
        The same if it is a master of nightcal or has a mask already that says more than which pixels hold no number.
    """
    mask = np.asarray(master.mask)
    of_nightcal = "MASTER" in master.header or ("NIGHTCAL" in master.header and mask.any())
    if of_nightcal or (mask & ~Flag.NO_DATA).any():
        return master
    return replace(master, mask=np.where(np.asarray(master.data) != 0, Flag.BAD, mask))


def in_electrons(name: str, master: MasterFrame, gain: float, per_second: bool) -> MasterFrame:
    """Bring a bias to electrons, a dark to electrons per second, of the gain that the frame is calibrated with.

    Parameters
    ----------
    name : str
        Of the parameter, for messages.
    master : MasterFrame
        In ADU, or in electrons. What a detector reads out are ADU: electrons of another gain than this one, which a
        master of nightcal knows (``GAINUSED``), are brought to it.
    gain : float
        [e-/ADU]
    per_second : bool
        Whether it is a dark; one that is not per second is divided by its ``EXPTIME``.

    Returns
    -------
    MasterFrame

    Raises
    ------
    ValueError
        If the exposure time of a dark is unknown.
    """
    scale = gain if master.unit.startswith(ADU) else gain / float(master.header.get("GAINUSED", gain))
    if per_second and not master.unit.endswith(PER_SECOND):
        seconds = master.header.get("EXPTIME")
        if not isinstance(seconds, int | float) or not seconds > 0:
            raise ValueError(
                f"{name} is {master.name} with BUNIT {master.unit!r} and EXPTIME {seconds!r}; expected a dark per "
                "second (BUNIT 'electron/s' or 'adu/s') or its exposure time"
            )
        scale /= seconds
    if scale == 1.0:
        return master
    return replace(master, data=master.data * scale, variance=master.variance * scale**2)
