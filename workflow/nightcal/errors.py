"""The two ways in which nightcal says no, and what unreadable files raise."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

BUILT_IN = (OSError, EOFError, ValueError, TypeError, KeyError, IndexError)

if TYPE_CHECKING:
    UNREADABLE = BUILT_IN


class ConfigurationError(Exception):
    """A mistake in the configuration: key, value found and what was expected, in one sentence."""


def blame_machine(error: Exception) -> None:
    """Raise an error again that is the machine's and not the file's: no frame is bad for it."""
    if isinstance(error, OSError) and error.errno in MACHINE:
        raise error


class FrameRejectedError(Exception):
    """One frame cannot be used; the message is the reason, in one plain sentence."""


MACHINE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.EIO)


def __getattr__(name: str) -> Any:
    """``UNREADABLE``: what astropy, gzip and numpy raise on the files that observatories really have.

    astropy is imported when this is asked for, so that planning a night of plain files does without.
    """
    if name != "UNREADABLE":
        raise AttributeError(f"module 'nightcal.errors' has no attribute {name!r}")
    import zlib

    from astropy.io.fits import VerifyError

    return (*BUILT_IN, _tile_error(), VerifyError, zlib.error)


def _tile_error() -> type[Exception]:
    """Find what a broken tile raises: it has no public name."""
    try:
        from astropy.io.fits.hdu.compressed._compression import CfitsioException
    except ImportError:
        return OSError
    return CfitsioException
