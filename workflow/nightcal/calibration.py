"""A master as it is used: read from disk, in electrons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from nightcal.errors import UNREADABLE, blame_machine
from nightcal.fitsio import file_hash, set_cards, warn, warnings_of
from nightcal.flags import MASK_DTYPE, Flag

Image = NDArray[np.float64]
ADU = ("adu", "dn", "count", "ct")
"""What units of a raw image begin with."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """A master as it is used: image and variance [e- or e-/s], mask, and where it came from."""

    data: Image
    variance: Image
    mask: NDArray[np.uint8]
    header: fits.Header
    name: str
    digest: str
    unit: str

    @property
    def refused(self) -> str:
        """Why the master holds nothing; empty for a good one."""
        return str(self.header.get("REFUSED", ""))


def load_master(path: Path) -> Calibration:
    """Read a master.

    Parameters
    ----------
    path : Path
        A product of nightcal, or any FITS image; without an ``UNCERT`` extension its error is taken to be 0, without
        ``MASK`` all its pixels to be good.

    Returns
    -------
    Calibration

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
            data = np.array(images[0].data, dtype=np.float64)
            names = [hdu.name for hdu in hdus]
            error = np.array(hdus["UNCERT"].data, np.float64) if "UNCERT" in names else np.zeros_like(data)
            mask = (
                np.asarray(hdus["MASK"].data).astype(MASK_DTYPE)
                if "MASK" in names
                else np.zeros(data.shape, MASK_DTYPE)
            )
            header = images[0].header.copy()
    except UNREADABLE as reason:
        blame_machine(reason)
        raise ValueError(f"{path} cannot be read as a master ({reason})") from reason
    undefined = ~(np.isfinite(data) & np.isfinite(error))
    mask[undefined] |= Flag.NO_DATA
    data[undefined], error[undefined] = 0.0, 0.0
    unit = "".join(str(header.get("BUNIT", "adu")).lower().split())
    return Calibration(data, error**2, mask, header, Path(path).name, file_hash(Path(path)), unit)


def as_mask(master: Calibration) -> Calibration:
    """Take a plain image, of another program, for a bad pixel mask: what is not 0 is bad.

    Parameters
    ----------
    master : Calibration
        As `load_master` read it.

    Returns
    -------
    Calibration
        The same if it is a master of nightcal or has a mask already.
    """
    if "MASTER" in master.header or master.mask.any():
        return master
    return replace(master, mask=np.where(master.data != 0, Flag.BAD, MASK_DTYPE(0)))


def in_electrons(name: str, master: Calibration, gain: float, per_second: bool) -> Calibration:
    """Bring a bias to electrons, a dark to electrons per second, of the gain that the frame is calibrated with.

    Parameters
    ----------
    name : str
        Of the parameter, for messages.
    master : Calibration
        In ADU, or in electrons. What a detector reads out are ADU: electrons of another gain than this one, which a
        master of nightcal knows (``GAINUSED``), are brought to it.
    gain : float
        [e-/ADU]
    per_second : bool
        Whether it is a dark; one that is not per second is divided by its ``EXPTIME``.

    Returns
    -------
    Calibration

    Raises
    ------
    ValueError
        If the exposure time of a dark is unknown.
    """
    scale = gain if master.unit.startswith(ADU) else gain / float(master.header.get("GAINUSED", gain))
    if per_second and not master.unit.endswith(("/s", "s-1", "s**-1")):
        seconds = master.header.get("EXPTIME")
        if not isinstance(seconds, int | float) or not seconds > 0:
            raise ValueError(
                f"{name} is {master.name} with BUNIT {master.unit!r} and EXPTIME {seconds!r}; expected a dark per "
                "second (BUNIT 'electron/s' or 'adu/s') or its exposure time"
            )
        scale /= seconds
    return master if scale == 1.0 else replace(master, data=master.data * scale, variance=master.variance * scale**2)


def inherit_warnings(header: fits.Header, *masters: Calibration | None) -> None:
    """Pass on what the headers of masters warn of, and which steps their frames did not have.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Of what is made with the masters; changed in place.
    *masters : Calibration or None
        None is passed over.
    """
    for master in masters:
        if master is not None:
            for text in warnings_of(master.header):
                warn(header, text)
            if "SKIPPED" in master.header:
                missing = master.header["SKIPPED"].replace(",", " and ")
                warn(header, f"{master.header.get('MASTER', 'master')} made without {missing}")


def used_cards(step: str, master: Calibration | None) -> list[tuple[str, Any, str]]:
    """Cards that name the master of a step, none if there was none."""
    if master is None:
        return []
    name = step.upper()
    return [(f"{name}MAST", master.name, f"master {step}"), (f"{name}SHA", master.digest, "its SHA-256 begins")]


def note_skipped(header: fits.Header, masters: Mapping[str, Calibration | None], comment: str) -> None:
    """Name in ``SKIPPED`` the steps that had no master; no card if all had one."""
    skipped = ",".join(step for step, master in masters.items() if master is None)
    if skipped:
        set_cards(header, [("SKIPPED", skipped, comment)])
