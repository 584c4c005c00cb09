"""Exceptions, and what reading a damaged file raises."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

BUILT_IN = (OSError, EOFError, ValueError, TypeError, KeyError, IndexError)

if TYPE_CHECKING:
    UNREADABLE = BUILT_IN


class ConfigurationError(Exception):
    """A mistake in the configuration; the message names the key, its value and what was expected."""


def blame_machine(error: Exception) -> None:
    """Raise an error again if it comes from the machine (out of memory, too many open files), not from the file."""
    if isinstance(error, OSError) and error.errno in MACHINE:
        raise error


class FrameRejectedError(Exception):
    """A frame cannot be used; the message is the reason."""


MACHINE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.EIO)


def __getattr__(name: str) -> Any:
    """Provide ``UNREADABLE``: what astropy, gzip and numpy raise when they read damaged files.

    It is computed on demand, so that planning a night of plain files does not import astropy.
    """
    if name != "UNREADABLE":
        raise AttributeError(f"module 'nightcal.errors' has no attribute {name!r}")
    import zlib

    from astropy.io.fits import VerifyError

    return (*BUILT_IN, _find_tile_error(), VerifyError, zlib.error)


def _find_tile_error() -> type[Exception]:
    """Find the exception for a damaged compressed tile, which has no public name."""
    try:
        from astropy.io.fits.hdu.compressed._compression import CfitsioException
    except ImportError:
        return OSError
    return CfitsioException
