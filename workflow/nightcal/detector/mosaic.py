"""Where each amplifier's pixels lie in the image of the whole detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import ceil, floor

from nightcal.errors import FrameRejectedError
from nightcal.io.sections import Area

SPARSEST = 16
"""So many times the pixels that were read may the mosaic have: a header that asks for more is wrong."""


@dataclass(frozen=True, slots=True)
class Place:
    """Pixels of the mosaic that an amplifier fills, and whether its rows and columns run backwards there.

    ``off_grid`` is set where binned pixels of this amplifier lie between those of the others.
    """

    area: Area
    flip_x: bool
    flip_y: bool
    off_grid: bool = False


@dataclass(frozen=True, slots=True)
class _Axis:
    """One amplifier along one axis of the detector, in unbinned pixels: half-open, ascending."""

    low: int
    high: int
    backwards: bool
    pixels: int

    def first(self, binning: int) -> int:
        """Where its pixels begin, at the lower end: the row or column that is read first is a whole one."""
        return self.high - self.pixels * binning if self.backwards else self.low


def place(images: Sequence[Area], detectors: Sequence[Area | None], binning: tuple[int, int]) -> tuple[Place, ...]:
    """Place amplifiers in the mosaic.

    Parameters
    ----------
    images : sequence of Area
        Light-sensitive pixels of each amplifier, in its own image; a flip turns the image round.
    detectors : sequence of Area or None
        What they saw, in unbinned pixels of the detector; a flip tells that the amplifier reads backwards. None for a
        single amplifier that sees the whole detector.
    binning : (int, int)
        In x and y.

    Returns
    -------
    tuple of Place
        The mosaic begins with the lowest pixel that any amplifier saw. Where the number of rows or columns is no
        multiple of the binning, what is left over was read last, and lies at the end of the section that is read last.

    Raises
    ------
    FrameRejectedError
        If one of several amplifiers has no section, a section does not have the size of its pixels, two amplifiers see
        the same pixel, or they lie so far apart that the mosaic would be empty for the most part.
    """
    if len(images) == 1 and detectors[0] is None:
        ny, nx = images[0].shape
        return (Place(Area(0, nx, 0, ny), images[0].flip_x, images[0].flip_y),)
    pairs = list(zip(images, map(_told, detectors, range(1, len(detectors) + 1)), strict=True))
    axes = [
        [_axis(n, image, detector, axis, binning[axis]) for n, (image, detector) in enumerate(pairs, start=1)]
        for axis in (0, 1)
    ]
    exact = [_starts(along, bins) for along, bins in zip(axes, binning, strict=True)]
    for rounded in (_half_down, _half_up):  # what lies half a pixel off goes next to its neighbour, if there is room
        x0, y0 = (list(map(rounded, starts)) for starts in exact)
        places = tuple(
            Place(
                Area(x, x + along_x.pixels, y, y + along_y.pixels),
                along_x.backwards != image.flip_x,
                along_y.backwards != image.flip_y,
                off_grid=(x, y) != start,
            )
            for x, y, start, along_x, along_y, image in zip(
                x0, y0, zip(*exact, strict=True), *axes, images, strict=True
            )
        )
        overlapping = [
            (i, j)
            for (i, one), (j, other) in combinations(enumerate(places, start=1), 2)
            if _overlap(one.area, other.area)
        ]
        if not overlapping:
            _check_extent(places)
            return places
    raise FrameRejectedError("the detector sections of amplifiers {} and {} overlap".format(*overlapping[0]))


def _told(detector: Area | None, number: int) -> Area:
    if detector is None:
        raise FrameRejectedError(f"amplifier {number} has no detector section")
    return detector


def _axis(number: int, image: Area, detector: Area, axis: int, binning: int) -> _Axis:
    pixels = image.shape[1 - axis]
    low, high = (detector.xmin, detector.xmax) if axis == 0 else (detector.ymin, detector.ymax)
    if abs(pixels * binning - (high - low)) >= binning:
        raise FrameRejectedError(
            f"amplifier {number}: the image section {image} holds {pixels} {('columns', 'rows')[axis]} of {binning}, "
            f"the detector section {detector} {high - low}"
        )
    return _Axis(low, high, detector.flip_x if axis == 0 else detector.flip_y, pixels)


def _starts(along: Sequence[_Axis], binning: int) -> list[float]:
    """First binned pixel of each amplifier in the mosaic, perhaps between two."""
    origin = min(axis.first(binning) for axis in along)
    return [(axis.first(binning) - origin) / binning for axis in along]


def _half_down(start: float) -> int:
    return ceil(start - 0.5)


def _half_up(start: float) -> int:
    return floor(start + 0.5)


def _check_extent(places: Sequence[Place]) -> None:
    (ny, nx), read = extent(places), sum(place.area.shape[0] * place.area.shape[1] for place in places)
    if ny * nx > SPARSEST * read:
        raise FrameRejectedError(
            f"the detector sections of {read} pixels lie far apart: the mosaic would have {nx} x {ny}"
        )


def _overlap(one: Area, other: Area) -> bool:
    return one.xmin < other.xmax and other.xmin < one.xmax and one.ymin < other.ymax and other.ymin < one.ymax


def extent(places: Sequence[Place]) -> tuple[int, int]:
    """Rows and columns of the mosaic."""
    return max(place.area.ymax for place in places), max(place.area.xmax for place in places)
