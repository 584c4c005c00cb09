"""The two ways in which nightcal says no, and what unreadable files raise."""

import errno
import zlib

from astropy.io.fits import VerifyError

try:  # what a broken tile raises has no public name
    from astropy.io.fits.hdu.compressed._compression import CfitsioException
except ImportError:
    CfitsioException = OSError


class ConfigurationError(Exception):
    """A mistake in the configuration: key, value found and what was expected, in one sentence."""


def blame_machine(error: Exception) -> None:
    """Raise an error again that is the machine's and not the file's: no frame is bad for it."""
    if isinstance(error, OSError) and error.errno in MACHINE:
        raise error


class SetAside(Exception):  # noqa: N818 - not a failure: one frame leaves the night, the night goes on
    """One frame cannot be used; the message is the reason, in one plain sentence."""


MACHINE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.EIO)

UNREADABLE = (OSError, EOFError, ValueError, TypeError, KeyError, IndexError, CfitsioException, VerifyError, zlib.error)
"""What astropy, gzip and numpy raise on the files that observatories really have."""
