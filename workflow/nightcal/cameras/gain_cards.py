"""Tell a gain in electrons per ADU from a gain setting, and name the keywords of gain and saturation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nightcal.io.header_values import parse_quantity
from nightcal.io.raw_header import RawHeader, Value

if TYPE_CHECKING:
    from nightcal.cameras.camera import Camera

LARGEST_REAL_GAIN = 20.0
"""[e-/ADU] With more, 16 bits would hold over a million electrons in a pixel."""

ELECTRON_GAINS = ("EGAIN", "GTGAIN")
"""Keywords that hold e-/ADU, never a setting of the camera."""

OFFSETS = ("OFFSET", "BLKLEVEL", "BLACKLVL", "BLACKLEV", "CCDOFFST", "CAMOFFS", "BRIGHTNS")
"""Keywords of the offset that drivers write beside the gain setting of a CMOS camera."""


def is_no_gain(card: str, value: Value | None) -> bool:
    """Check whether a keyword that holds e-/ADU has a number that no camera can have, such as 0 for unknown."""
    return card in ELECTRON_GAINS and isinstance(value, int | float) and not value > 0


def is_gain_setting(card: str, listed: Value | None) -> bool:
    """Check whether a value is 0 or more than the gain [e-/ADU] of any camera, in a keyword that may hold a setting."""
    if not isinstance(listed, int | float) or isinstance(listed, bool):
        return False
    return (listed == 0 or listed > LARGEST_REAL_GAIN) and card not in ELECTRON_GAINS


def read_gain_card(plane: RawHeader, cards: Sequence[str]) -> tuple[str, Value | None]:
    """Find the keyword that decides about the gain: the first with a number or a list of numbers.

    Parameters
    ----------
    plane : RawHeader
        Of the amplifier's image plane.
    cards : sequence of str
        Keywords that may hold the gain.

    Returns
    -------
    card : str
        Without any number, the first keyword that has a value; empty if none has.
    value : str, int, float, bool or None
        A number, also one written as text, or a list as text. An ``EGAIN`` of 0 or less is left out if another
        keyword has a number.
    """
    known = [(card, value) for card in cards if (value := plane.value(card)) is not None]
    for card, value in known:
        if isinstance(value, str) and value.startswith("["):
            return card, value
        quantity = parse_quantity(value)
        if quantity is not None and not is_no_gain(card, quantity[0]):
            return card, quantity[0]
    return known[0] if known else ("", None)


def describe_gain_setting(camera: Camera, header: RawHeader, amplifier: int = 0) -> str:
    """Describe a gain keyword that holds, or may hold, a setting of the camera instead of e-/ADU.

    Parameters
    ----------
    camera : Camera
    header : RawHeader
    amplifier : int
        Counted from 0.

    Returns
    -------
    str
        Empty if there is none. Settings are 0 and numbers above 20 that are not in ``EGAIN`` or the like, and probably
        whole numbers beside an ``OFFSET``.
    """
    rule, plane = camera.find_plane(amplifier, header)
    card, listed = read_gain_card(plane, camera.cards.get("gain", ()))
    if rule.gain or camera.gain or isinstance(listed, bool) or not isinstance(listed, int | float):
        return ""
    if is_gain_setting(card, listed):
        return f"{card} is {listed:g}, a setting of the camera, not e-/ADU"
    beside = [name for name in OFFSETS if isinstance(plane.value(name), int | float)]
    if beside and card not in ELECTRON_GAINS and float(listed).is_integer() and listed > 0:
        return f"{card} is {listed:g} beside {beside[0]}, probably a setting of the camera, not e-/ADU"
    return ""


def name_gain(camera: Camera, header: RawHeader, amplifier: int = 0) -> str:
    """Name the source of the gain that `Camera.read_gain_and_noise` returns."""
    _, plane = camera.find_plane(amplifier, header)
    card, listed = read_gain_card(plane, camera.cards.get("gain", ()))
    return card if listed and not is_no_gain(card, listed) else f"the gain of {camera.path.name}"


def name_saturation(camera: Camera, header: RawHeader, amplifier: int = 0) -> str:
    """Name the source of the saturation that `Camera.saturation_level` returns."""
    _, plane = camera.find_plane(amplifier, header)
    return (
        camera.card(plane, "saturation") if camera.value(plane, "saturation") else f"saturation of {camera.path.name}"
    )
