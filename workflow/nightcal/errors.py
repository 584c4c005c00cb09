"""The two ways in which nightcal says no, and what unreadable files raise."""

import zlib

from astropy.io.fits import VerifyError
from astropy.io.fits.hdu.compressed._compression import CfitsioException  # of a broken tile; it has no public name


class ConfigurationError(Exception):
    """A mistake in the configuration: key, value found and what was expected, in one sentence."""


class SetAside(Exception):  # noqa: N818 - not a failure: one frame leaves the night, the night goes on
    """One frame cannot be used; the message is the reason, in one plain sentence."""


UNREADABLE = (OSError, EOFError, ValueError, TypeError, KeyError, IndexError, CfitsioException, VerifyError, zlib.error)
"""What astropy, gzip and numpy raise on the files that observatories really have."""
