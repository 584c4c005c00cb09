"""Provenance of a product: version and hash of the options."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from astropy.io import fits

from nightcal.io.file_content import HASH_DIGITS
from nightcal.io.keywords import set_cards
from nightcal.version import __version__


def record_provenance(header: fits.Header, options: Mapping[str, Any]) -> None:
    """Write the version, and a hash of the options that affect the product, into a header.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Changed in place.
    options : mapping of str to anything
        By name; the order does not matter.
    """
    text = repr(sorted((key, str(value)) for key, value in options.items()))
    digest = hashlib.sha256(text.encode()).hexdigest()[:HASH_DIGITS]
    set_cards(header, {"NIGHTCAL": __version__, "CONFHASH": digest})
