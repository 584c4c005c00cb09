"""Bad pixel masks that an observer brings: their size is known when the night is planned, their pixels are not."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from nightcal.cameras.geometry import size_of
from nightcal.errors import ConfigurationError, FrameRejectedError
from nightcal.planning.records import Setup


@dataclass(frozen=True, slots=True)
class UserMask:
    """A mask: its file, its rows and columns."""

    path: Path
    shape: tuple[int, int]


def read_user_masks(paths: Sequence[str], where: str) -> tuple[UserMask, ...]:
    """Read the size of each mask.

    Parameters
    ----------
    paths : sequence of str
        FITS files; the first image of two axes counts.
    where : str
        What the configuration calls them, for messages.

    Returns
    -------
    tuple of UserMask

    Raises
    ------
    ConfigurationError
        If a file cannot be read or holds no image, or its path cannot be told to Snakemake.
    """
    return tuple(UserMask(Path(path), _shape(path, where)) for path in paths)


def _shape(path: str, where: str) -> tuple[int, int]:
    from astropy.io import fits

    from nightcal.errors import UNREADABLE

    if "{" in path:
        raise ConfigurationError(f"{where} is {path!r}; expected a path without {{.")
    try:
        with warnings.catch_warnings(), fits.open(path) as hdus:
            warnings.simplefilter("ignore")
            images = [hdu for hdu in hdus if hdu.is_image and hdu.header["NAXIS"] == 2]
    except UNREADABLE as error:
        raise ConfigurationError(f"{where} is {path!r}, which cannot be read ({error}).") from error
    if not images:
        raise ConfigurationError(f"{where} is {path!r}; expected a FITS file with an image of two axes.")
    return int(images[0].header["NAXIS2"]), int(images[0].header["NAXIS1"])


@cache
def light_sensitive(setup: Setup) -> tuple[int, int]:
    """Rows and columns of the light-sensitive pixels of a setup."""
    try:
        return size_of(setup.area, setup.binning) or setup.shape
    except (ValueError, FrameRejectedError):  # of a library: nobody knows who wrote it
        return setup.shape


def fitting(user_masks: Sequence[UserMask], setup: Setup) -> tuple[Path, ...]:
    """Masks of the size of a setup's light-sensitive area."""
    return tuple(mask.path for mask in user_masks if mask.shape == light_sensitive(setup))


def without(user_masks: Sequence[UserMask], setup: Setup) -> str:
    """Say that masks were given and none of them fits; empty if there is nothing to say."""
    if not user_masks or fitting(user_masks, setup):
        return ""
    rows, columns = light_sensitive(setup)
    sizes = ", ".join(f"{mask.path.name} has {mask.shape[1]} x {mask.shape[0]} pixels" for mask in user_masks)
    return f"no bad pixel mask of yours fits {columns} x {rows} pixels: {sizes}"
