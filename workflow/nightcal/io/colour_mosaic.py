"""Colour mosaics: which pixels see red, green or blue, and the header of one colour."""

from __future__ import annotations

import re
from copy import copy

from nightcal.errors import FrameRejectedError
from nightcal.io.header_values import parse_quantity
from nightcal.io.raw_header import RawHeader
from nightcal.io.sections import Area

PLANES = ("R", "G1", "G2", "B")
"""Colours of a mosaic. G1 is the green in the rows of red, G2 that in the rows of blue."""

PATTERN_CARDS = (
    "BAYERPAT", "BAYRPAT", "COLORTYP", "CFA", "CFAPAT", "CFA-PAT", "CFATYPE", "CFAIMAGE", "COLORPAT", "COLORSPC",
    "BAYER", "CFAPATT",
)  # fmt: skip
"""Keywords of the pattern of a mosaic, or of other things: the value tells."""

OFFSET_CARDS = ("XBAYROFF", "YBAYROFF", "BAYOFFX", "BAYOFFY")
_NAMES = ("OBJECT", "FILTER", "COMMENT", "HISTORY")
_PATTERN = re.compile(r"RGGB|BGGR|GRBG|GBRG")


def list_pattern_cards(header: RawHeader) -> tuple[str, ...]:
    """List the keywords that may hold the pattern: those known for it, and any other whose whole value is a pattern."""
    others = (name for name in dict.fromkeys(header) if name not in PATTERN_CARDS and name not in _NAMES)
    return (*PATTERN_CARDS, *(name for name in others if _is_pattern(header, name)))


def _is_pattern(header: RawHeader, name: str) -> bool:
    try:
        return is_pattern(header.value(name))
    except FrameRejectedError:
        return False


def is_pattern(value: object) -> bool:
    """Check whether a value is the pattern of a mosaic and nothing else, such as ``rggb``."""
    return isinstance(value, str) and _PATTERN.fullmatch(value.strip().upper()) is not None


def find_pattern(header: RawHeader, stated: str = "") -> str | None:
    """Find the colours of the first four pixels of a mosaic, as stored in the file.

    Parameters
    ----------
    header : RawHeader
    stated : str
        Pattern from a camera file, which the header need not give.

    Returns
    -------
    str or None
        Colours of the first two pixels of the first row, then of the second row, such as ``RGGB``; None if the header
        has no pattern.

    Notes
    -----
    ``XBAYROFF`` and ``YBAYROFF`` are the place of the first pixel in the pattern. With ``ROWORDER = BOTTOM-UP`` the
    pattern begins in the last row of the file, otherwise in the first.
    """
    texts = [stated, *(str(header.value(card) or "") for card in list_pattern_cards(header))]
    match = next((match for text in texts if (match := _PATTERN.search(text.upper()))), None)
    if match is None:
        return None
    right, up = _read_offset(header, "XBAYROFF", "BAYOFFX"), _read_offset(header, "YBAYROFF", "BAYOFFY")
    rows = range(2)
    if str(header.value("ROWORDER") or "").upper().startswith("BOTTOM"):
        rows = range(header.shape[0] - 1, header.shape[0] - 3, -1)
    return "".join(match[0][2 * ((y + up) % 2) + (x + right) % 2] for y in rows for x in range(2))


def _read_offset(header: RawHeader, *cards: str) -> int:
    found = next((found for card in cards if (found := parse_quantity(header.value(card))) is not None), None)
    return int(found[0]) if found is not None and abs(found[0]) < 1e6 else 0


def find_grid(pattern: str, plane: str) -> tuple[int, int]:
    """Find the first row and column of a colour in a mosaic, each 0 or 1.

    Parameters
    ----------
    pattern : str
        From `find_pattern`.
    plane : str
        One of `PLANES`.
    """
    red, blue = divmod(pattern.index("R"), 2), divmod(pattern.index("B"), 2)
    return {"R": red, "G1": (red[0], blue[1]), "G2": (blue[0], red[1]), "B": blue}[plane]


def select_plane(header: RawHeader, pattern: str, plane: str) -> RawHeader:
    """Make the header of one colour of a mosaic: half the rows and columns, and the first of each (``grid``).

    Raises
    ------
    FrameRejectedError
        If the file has several image planes, or fewer than two rows or columns.
    """
    if len(header.planes) > 1:
        raise FrameRejectedError(f"the file has {len(header.planes)} image planes; a colour mosaic has one")
    selected = copy(header)
    selected.shape = (header.shape[0] // 2, header.shape[1] // 2)
    selected.grid = find_grid(pattern, plane)
    if 0 in selected.shape:
        raise FrameRejectedError("a colour mosaic has at least two rows and columns")
    return selected


def halve(area: Area, shape: tuple[int, int]) -> Area:
    """Convert a section of a mosaic to the pixels of one colour.

    Parameters
    ----------
    area : Area
        Of the mosaic.
    shape : (int, int)
        Rows and columns of the colour. A last row or column of the mosaic without a partner is left out.

    Raises
    ------
    FrameRejectedError
        If the section begins or ends between two pixels of one colour.
    """
    right = area.xmax - (area.xmax == 2 * shape[1] + 1)
    top = area.ymax - (area.ymax == 2 * shape[0] + 1)
    if any(edge % 2 for edge in (area.xmin, right, area.ymin, top)):
        raise FrameRejectedError(
            f"the section {area} cuts through the colour mosaic; expected sections of whole groups of 2 x 2 pixels"
        )
    return Area(area.xmin // 2, right // 2, area.ymin // 2, top // 2, area.flip_x, area.flip_y)
