"""Signal of one amplifier that appears on another."""

from __future__ import annotations

from dataclasses import dataclass

from nightcal.io.sections import Area


@dataclass(frozen=True, slots=True)
class Order:
    """The order in which an amplifier reads the pixels of its image: away from one corner of ``region``.

    Attributes
    ----------
    region : Area
        Pixels that are read out, in the stored image.
    from_right, from_top : bool
        Whether columns or rows are stored in reverse of the order of reading.
    """

    region: Area
    from_right: bool = False
    from_top: bool = False


def read_together(area: Area, target: Order, source: Order) -> Area:
    """Find the pixels that one amplifier reads while another reads those of an area.

    Parameters
    ----------
    area : Area
        Pixels of the target, in its stored image.
    target, source : Order

    Returns
    -------
    Area
        In the stored image of the source, perhaps beyond its edges; a flip marks rows or columns stored in the opposite
        direction to those of the target.
    """
    xmin, xmax, flip_x = _map_axis(
        (area.xmin, area.xmax),
        (target.region.xmin, target.region.xmax, target.from_right),
        (source.region.xmin, source.region.xmax, source.from_right),
    )
    ymin, ymax, flip_y = _map_axis(
        (area.ymin, area.ymax),
        (target.region.ymin, target.region.ymax, target.from_top),
        (source.region.ymin, source.region.ymax, source.from_top),
    )
    return Area(xmin, xmax, ymin, ymax, flip_x, flip_y)


def _map_axis(
    pixels: tuple[int, int], target: tuple[int, int, bool], source: tuple[int, int, bool]
) -> tuple[int, int, bool]:
    start, stop = pixels
    low, high, backwards = target
    first, last = (high - stop, high - start) if backwards else (start - low, stop - low)
    source_low, source_high, source_backwards = source
    span = (source_high - last, source_high - first) if source_backwards else (source_low + first, source_low + last)
    return *span, backwards != source_backwards
