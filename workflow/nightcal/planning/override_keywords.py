"""Record what the observer said of the frames of a product in its header."""

from __future__ import annotations

import json
from collections.abc import Sequence

from astropy.io import fits

from nightcal.cameras.camera import Camera
from nightcal.cameras.corrected_camera import Facts
from nightcal.io.keywords import set_cards
from nightcal.io.provenance import record_provenance
from nightcal.io.raw_header import RawHeader
from nightcal.planning.overrides import Override
from nightcal.warning_names import summarise_warnings

MOST_NUMBERED = 999
"""Largest number of RULEnnn."""


CORRECTED = ("type", "filter", "exposure")
"""Roles whose keyword in the product says what holds."""


def correct_cards(header: fits.Header, raw: RawHeader, camera: Camera, facts: Facts) -> None:
    """Let the keywords from which type, filter and exposure time are read say what the observer says.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Of the product of a raw frame, with the keywords of the latter; changed in place.
    raw : RawHeader
    camera : Camera
        The camera file, not corrected.
    facts : Facts
    """
    for role, value in facts.list_known().items():
        if role in CORRECTED and not (role == "filter" and camera.plane):
            present = (card for card in camera.cards.get(role, ()) if card in header and raw.value(card) is not None)
            if card := next(present, None):
                set_cards(header, [(card, value, header.comments[card])])


def record_overrides(header: fits.Header, overrides: Sequence[Override | None]) -> None:
    """Record what the observer said of the frames of a product.

    Parameters
    ----------
    header : astropy.io.fits.Header
        With the hash of its options, if any; changed in place: ``RULE001`` and so on, and ``CONFHASH``.
    overrides : sequence of Override or None
        Of each frame; nothing is changed if all are None.
    """
    if not any(overrides):
        return
    texts: list[tuple[str, ...]] = [(override.text,) if override else () for override in overrides]
    rules = enumerate(summarise_warnings(texts)[:MOST_NUMBERED], start=1)
    set_cards(header, {f"RULE{number:03d}": text for number, text in rules})
    facts = [override.facts.list_known() if override else {} for override in overrides]
    record_provenance(header, {"options": header.get("CONFHASH"), "overrides": json.dumps(facts)})
