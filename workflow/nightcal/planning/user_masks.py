"""The observer's own bad pixel masks: planning needs their size only."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from nightcal.cameras.geometry import find_size
from nightcal.errors import ConfigurationError, FrameRejectedError
from nightcal.planning.naming import find_misread
from nightcal.planning.records import Setup
from nightcal.warning_names import name_warning


@dataclass(frozen=True, slots=True)
class UserMask:
    """File and shape (rows, columns) of a mask."""

    path: Path
    shape: tuple[int, int]


def read_user_masks(paths: Sequence[str], where: str) -> tuple[UserMask, ...]:
    """Read the size of each mask.

    Parameters
    ----------
    paths : sequence of str
        FITS files; the first two-dimensional image is used.
    where : str
        Name of the configuration key, for messages.

    Returns
    -------
    tuple of UserMask

    Raises
    ------
    ConfigurationError
        If a file cannot be read or holds no image, or its path contains ``{`` or ``<word>``.
    """
    return tuple(UserMask(Path(path), _read_shape(path, where)) for path in paths)


def _read_shape(path: str, where: str) -> tuple[int, int]:
    from astropy.io import fits

    from nightcal.errors import UNREADABLE

    if misread := find_misread(path):
        raise ConfigurationError(f"{where} is {path!r}; expected a path without {misread}.")
    try:
        with warnings.catch_warnings(), fits.open(path) as hdus:
            warnings.simplefilter("ignore")
            images = [hdu for hdu in hdus if hdu.is_image and hdu.header["NAXIS"] == 2]
    except UNREADABLE as error:
        raise ConfigurationError(f"{where} is {path!r}, which cannot be read ({error}).") from error
    if not images:
        raise ConfigurationError(f"{where} is {path!r}; expected a FITS file with a two-dimensional image.")
    return int(images[0].header["NAXIS2"]), int(images[0].header["NAXIS1"])


@cache
def find_image_size(setup: Setup) -> tuple[int, int]:
    """Find rows and columns of the light-sensitive area of a setup."""
    try:
        return find_size(setup.area, setup.binning) or setup.shape
    except (ValueError, FrameRejectedError):  # a library master with an area from elsewhere
        return setup.shape


def find_fitting(user_masks: Sequence[UserMask], setup: Setup) -> tuple[Path, ...]:
    """Find the masks that have the size of a setup's light-sensitive area."""
    return tuple(mask.path for mask in user_masks if mask.shape == find_image_size(setup))


def explain_misfit(user_masks: Sequence[UserMask], setup: Setup) -> str:
    """Explain that masks were given but none has the right size; empty if there is nothing to explain."""
    if not user_masks or find_fitting(user_masks, setup):
        return ""
    rows, columns = find_image_size(setup)
    sizes = ", ".join(f"{mask.path.name} has {mask.shape[1]} x {mask.shape[0]}" for mask in user_masks)
    return name_warning("bad pixel mask not used", f"no bad_pixels mask has {columns} x {rows} pixels ({sizes})")
