"""Place the pixels of each amplifier in the image of the whole detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import ceil, floor

from nightcal.errors import FrameRejectedError
from nightcal.io.sections import Area

SPARSEST = 16
"""Largest allowed ratio of mosaic area to pixels read; a header that asks for more is wrong."""


@dataclass(frozen=True, slots=True)
class Place:
    """Place of an amplifier in the mosaic.

    Attributes
    ----------
    area : Area
        Pixels of the mosaic that the amplifier fills.
    flip_x, flip_y : bool
        Whether its columns or rows are reversed in the mosaic.
    off_grid : bool
        Whether its binned pixels lie between those of the other amplifiers.
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

    def find_start(self, binning: int) -> int:
        """Find the lower end of its pixels; a fraction of a binned pixel is left over at the end that is read last."""
        return self.high - self.pixels * binning if self.backwards else self.low


def place_amplifiers(
    images: Sequence[Area], detectors: Sequence[Area | None], binning: tuple[int, int]
) -> tuple[Place, ...]:
    """Place amplifiers in the mosaic.

    Parameters
    ----------
    images : sequence of Area
        Light-sensitive pixels of each amplifier, in its own image; a flip reverses rows or columns.
    detectors : sequence of Area or None
        Their parts of the detector, in unbinned pixels; a flip means that the amplifier reads backwards. None for a
        single amplifier that reads the whole detector.
    binning : (int, int)
        In x and y.

    Returns
    -------
    tuple of Place
        The mosaic starts at the lowest pixel of any amplifier. If the number of rows or columns is not a multiple of
        the binning, the remainder is at the end of the section that is read last.

    Raises
    ------
    FrameRejectedError
        If one of several amplifiers has no detector section, if a section does not match the number of pixels read, if
        amplifiers overlap, or if they lie so far apart that most of the mosaic would be empty.
    """
    if len(images) == 1 and detectors[0] is None:
        ny, nx = images[0].shape
        return (Place(Area(0, nx, 0, ny), images[0].flip_x, images[0].flip_y),)
    pairs = list(zip(images, map(_require_section, detectors, range(1, len(detectors) + 1)), strict=True))
    axes = [
        [_project(n, image, detector, axis, binning[axis]) for n, (image, detector) in enumerate(pairs, start=1)]
        for axis in (0, 1)
    ]
    exact = [_find_starts(along, bins) for along, bins in zip(axes, binning, strict=True)]
    for rounded in (_round_down, _round_up):  # half a pixel off the grid: move next to the neighbour, if there is room
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
            for (i, first), (j, second) in combinations(enumerate(places, start=1), 2)
            if _overlap(first.area, second.area)
        ]
        if not overlapping:
            _check_size(places)
            return places
    raise FrameRejectedError("the detector sections of amplifiers {} and {} overlap".format(*overlapping[0]))


def _require_section(detector: Area | None, number: int) -> Area:
    if detector is None:
        raise FrameRejectedError(f"amplifier {number} has no detector section")
    return detector


def _project(number: int, image: Area, detector: Area, axis: int, binning: int) -> _Axis:
    pixels = image.shape[1 - axis]
    low, high = (detector.xmin, detector.xmax) if axis == 0 else (detector.ymin, detector.ymax)
    if abs(pixels * binning - (high - low)) >= binning:
        raise FrameRejectedError(
            f"amplifier {number}: the image section {image} holds {pixels} {('columns', 'rows')[axis]} of {binning}, "
            f"the detector section {detector} {high - low}"
        )
    return _Axis(low, high, detector.flip_x if axis == 0 else detector.flip_y, pixels)


def _find_starts(along: Sequence[_Axis], binning: int) -> list[float]:
    """Find the first binned pixel of each amplifier in the mosaic, possibly a fraction."""
    origin = min(axis.find_start(binning) for axis in along)
    return [(axis.find_start(binning) - origin) / binning for axis in along]


def _round_down(start: float) -> int:
    return ceil(start - 0.5)


def _round_up(start: float) -> int:
    return floor(start + 0.5)


def _check_size(places: Sequence[Place]) -> None:
    (ny, nx), read = find_mosaic_shape(places), sum(place.area.shape[0] * place.area.shape[1] for place in places)
    if ny * nx > SPARSEST * read:
        raise FrameRejectedError(
            f"the detector sections of {read} pixels lie far apart: the mosaic would have {nx} x {ny}"
        )


def _overlap(a: Area, b: Area) -> bool:
    return a.xmin < b.xmax and b.xmin < a.xmax and a.ymin < b.ymax and b.ymin < a.ymax


def find_mosaic_shape(places: Sequence[Place]) -> tuple[int, int]:
    """Find the numbers of rows and columns of the mosaic."""
    return max(place.area.ymax for place in places), max(place.area.xmax for place in places)
