"""Keywords that look like a setting of the camera but that its camera file does not list."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from nightcal.cameras.settings import format_value
from nightcal.errors import FrameRejectedError
from nightcal.io.raw_header import RawHeader

if TYPE_CHECKING:
    from nightcal.cameras.camera import Camera

_SETTING = re.compile(
    r"GAIN|^ISO|^HCG|^LCG|CONV.?GAI"
    r"|(?:BLK|BLACK|PEDES|ZERO|ADC|CAM|CCD|SENS|DET).*(?:OFF|LE?V)"
    r"|(?:READ|RD|RO).*MOD|READ.?OUT|RDOUT|CAM.?MODE"
    r"|(?:PIX|READ|RD|ADC|HS|VS).*(?:SPD|SPEED|RATE|CLK|CLOCK)"
    r"|^(?:CCD|DET)?AMP(?:LIF\w*|ID|NAME|NUM|SEL)?$|PORT$|PREAMP"
    r"|BIT.?(?:DEP|PER|SAM|MODE)|PIX.*(?:FMT|FORM)"
    r"|ROI|SUBF|SUBRA|WIN.?[XY]|WINDOW|CROP"
    r"|^(?:IMG|IMAGE|CCD|CAM).?MIRROR|^(?:IMG|IMAGE|CCD|CAM)?.?(?:MIRRORED|ROTATED)$"
    r"|ROW.?ORD|[HVXY].?FLIP|FLIP.?[HVXY]$|(?:IMG|CAM|CCD).?FLIP"
)
_OTHER = re.compile(r"GUID|PHD|FOC|^AG|DOME|WIND(?!OW)|WEATH|TEMP|ERR|TIME|AGAIN|^TEL|^MOUNT|^RAW|COMMENT|HISTORY")


def find_unlisted_settings(header: RawHeader, camera: Camera) -> tuple[tuple[str, str], ...]:
    """Find keywords whose names say gain, offset, readout mode, window or orientation, and that are not compared.

    Parameters
    ----------
    header : RawHeader
    camera : Camera

    Returns
    -------
    tuple of (str, str)
        Keywords and values.
    """
    names = [name for name in dict.fromkeys(header) if _looks_like_setting(name)]
    listed = _list_keywords(camera) if names else set()
    return tuple(_read(header, [name for name in names if name not in listed]))


def _list_keywords(camera: Camera) -> set[str]:
    """List the keywords that a camera file reads."""
    groups = [*camera.cards.values(), *(rule.cards for rule in camera.mode), *camera.binning, *camera.more_filters]
    areas = [names for rule in camera.amplifiers for names in (rule.image, rule.detector, *rule.overscan)]
    return {name for names in (*groups, *areas) for name in names}


@lru_cache(maxsize=4096)
def _looks_like_setting(name: str) -> bool:
    return _SETTING.search(name) is not None and _OTHER.search(name) is None


def _read(header: RawHeader, names: list[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        try:
            value = header.value(name)
        except FrameRejectedError:
            continue
        if value is not None:
            yield name, format_value(value)
