"""The bad pixel mask of a night, from what its masters say, and from masks that the observer gives."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, count, takewhile
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from nightcal.errors import FrameRejectedError
from nightcal.flags import MASK_DTYPE, Flag
from nightcal.io.keywords import mean_time_cards, set_cards, warn
from nightcal.io.master import MasterFrame
from nightcal.io.product import Product
from nightcal.io.sections import Area, parse_section
from nightcal.masters.defects import (
    AROUND,
    COLUMN_AND_ROW,
    STRIP,
    departure,
    fill_columns,
    outliers,
    ratio_outliers,
    unresponsive,
)
from nightcal.masters.flat import LOW_FLAT
from nightcal.masters.keywords import list_inputs

log = logging.getLogger(__name__)

UNLIKE = 2.0
"""Ratio of the light of two flats of one filter from which they tell of linearity."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class DefectLimits:
    """What makes a pixel bad.

    Attributes
    ----------
    level : float
        Departure of a pixel of a bias from its column and row [rstd of all pixels].
    warm : float
        Excess of a pixel of a dark over those around it [rstd of all pixels]; infinity: only what the dark calls hot.
    response : float
        Departure of a pixel of a flat from those around it, as a part of these.
    """

    bias_sigma: float = 10.0
    warm: float = 7.0
    response: float = 0.3


USUAL = DefectLimits()


def make_bad_pixel_mask(
    masters: Sequence[MasterFrame], given: Sequence[MasterFrame] = (), limits: DefectLimits = USUAL
) -> Product:
    """Gather what the night's masters say about pixels, and what the observer knows.

    Parameters
    ----------
    masters : sequence of MasterFrame
        Bias, darks and flats of one setup, any number of each; also bad pixel masks of other nights.
    given : sequence of MasterFrame
        Masks as `nightcal.io.master.as_mask` takes them: not 0 is bad, and bits of nightcal stay what they are. One
        that is not of the size of the others is left out, with a warning.
    limits : DefectLimits

    Returns
    -------
    Product
        The image is the mask: ``BAD`` where a pixel is noisy, unresponsive, off the level around it or never gave
        data, ``HOT`` where it is hot or warm in a dark. What a flat says of its own filter (``LOW_FLAT``) stays with
        that flat, and what the headers of the masters warn of stays with the frames that use them.

    Raises
    ------
    FrameRejectedError
        If none of the masters holds data, and no mask is given.
    """
    masters = [master for master in masters if not master.refused]
    if not masters and not given:
        raise FrameRejectedError("none of the masters holds data")
    bits = np.zeros((masters or given)[0].mask.shape, dtype=MASK_DTYPE)
    fitting = [mask for mask in given if mask.mask.shape == bits.shape]
    cards = _search(bits, masters, fitting, limits)
    header = fits.Header()
    times = [master.header["MJD-AVG"] for master in masters if "MJD-AVG" in master.header]
    set_cards(header, [("MASTER", "bpm", "kind of master")])
    if times:
        set_cards(header, mean_time_cards(float(np.mean(times))))
    totals: list[tuple[str, Any, str]] = [
        ("NBAD", int(np.count_nonzero(bits & Flag.BAD)), "bad pixels"),
        ("NHOT", int(np.count_nonzero(bits & Flag.HOT)), "hot pixels"),
        *cards,
        ("NCOMBINE", len(masters), "masters it is made from"),
    ]
    set_cards(header, totals)
    list_inputs(header, [(master.name, master.digest) for master in masters])
    list_inputs(header, [(mask.name, mask.digest) for mask in fitting], "USRMK", "USSHA")
    for mask in given:
        if mask.mask.shape != bits.shape:
            sizes = [f"{shape[1]} x {shape[0]}" for shape in (mask.mask.shape, bits.shape)]
            text = f"bad pixel mask {mask.name} of {sizes[0]} pixels does not fit {sizes[1]}: not used"
            log.warning("%s.", text)
            warn(header, text)
    return Product(bits, np.zeros(bits.shape, np.float32), bits, "", header)


def _search(
    bits: NDArray[np.uint8], masters: Sequence[MasterFrame], given: Sequence[MasterFrame], limits: DefectLimits
) -> list[tuple[str, Any, str]]:
    """Enter the pixels that each way of searching finds, in place; return how many, as cards."""
    biases, darks, flats = ([m for m in masters if m.header["MASTER"] == kind] for kind in ("bias", "dark", "flat"))
    pair = _pair(flats)
    cards: list[tuple[str, Any, str]] = []

    def enter(keyword: str, comment: str, flag: np.uint8, found: Mask | None) -> None:
        if found is not None:
            np.bitwise_or(bits, flag, out=bits, where=found)
            cards.append((keyword, int(np.count_nonzero(found)), comment))

    earlier = [m for m in masters if m.header["MASTER"] == "bpm"]
    for mask in earlier:
        bits |= np.asarray(mask.mask) & (Flag.BAD | Flag.HOT)
    enter("NNODATA", "without data in a master", Flag.BAD, _any(masters, lambda m: _has(m, Flag.NO_DATA)))
    enter("NNOISY", "noisier than read and photon noise", Flag.BAD, _any(biases + darks, lambda m: _has(m, Flag.BAD)))
    enter(
        "NLEVEL", "off the level of column and row", Flag.BAD, _any(biases, lambda m: _off_level(m, limits.bias_sigma))
    )
    enter("NDARKHOT", "hot in a dark", Flag.HOT, _any(darks, lambda m: _has(m, Flag.HOT)))
    enter("NWARM", "warmer than those around", Flag.HOT, _any(darks, lambda m: _warm(m, limits.warm)))
    enter("NUNRESP", "unlike those around in all flats", Flag.BAD, _all(flats, lambda m: _odd(m, limits.response)))
    if pair is not None:
        enter("NRATIO", "unlike in two flats", Flag.BAD, ratio_outliers(_ratio(*pair)))
        cards += [(f"RATIO{n}", flat.name, "the two flats") for n, flat in enumerate(pair, start=1)]
    if given:
        before = np.count_nonzero(bits)
        for mask in given:
            bits |= np.asarray(mask.mask)
        cards.append(("NGIVEN", int(np.count_nonzero(bits) - before), "known from given masks only"))
    enter("NCOLUMN", "between bad pixels of a column", Flag.BAD, fill_columns(bits > 0))
    return cards


def _any(masters: Sequence[MasterFrame], find: Callable[[MasterFrame], Mask]) -> Mask | None:
    """Pixels that are found in any of the masters; None if there is none of these."""
    found: Mask | None = None
    for master in masters:
        found = find(master) if found is None else found | find(master)
    return found


def _all(masters: Sequence[MasterFrame], find: Callable[[MasterFrame], Mask]) -> Mask | None:
    """Pixels that are found in each of the masters; None if there is none of these."""
    found: Mask | None = None
    for master in masters:
        found = find(master) if found is None else found & find(master)
    return found


def _has(master: MasterFrame, flag: np.uint8) -> Mask:
    return np.asarray(master.mask) & flag > 0


def _off_level(bias: MasterFrame, limit: float) -> Mask:
    return outliers(_departure(bias, COLUMN_AND_ROW), bias.variance, limit)


def _warm(dark: MasterFrame, limit: float) -> Mask:
    return outliers(_departure(dark, AROUND), dark.variance, limit, both=False)


def _departure(master: MasterFrame, blocks: tuple[tuple[int, int], ...]) -> NDArray[np.float32]:
    """Take from what each amplifier read what it is like on a larger scale: levels differ between amplifiers."""
    areas = _areas(master)
    if not areas:
        return departure(master.data, blocks)
    rest = np.zeros(master.data.shape, np.float32)
    for area in areas:
        rows, columns = area.slices
        rest[area.slices] = departure(master.data[rows][:, columns], blocks)
    return rest


def _areas(master: MasterFrame) -> list[Area]:
    """Pixels of each of several amplifiers; none if the header does not tell."""
    told = takewhile(lambda text: text is not None, (master.header.get(f"AMPSEC{n:02d}") for n in count(1)))
    areas = [parse_section(text) for text in told]
    return [area for area in areas if area is not None and area.fits_in(master.data.shape)]


def _odd(flat: MasterFrame, limit: float) -> Mask:
    return unresponsive(_light(flat), flat.variance, limit)


def _light(flat: MasterFrame) -> NDArray[np.float32]:
    """Give pixels that a flat calls low, and that are 1 in it, the most that they can be."""
    image = np.array(flat.data[:], dtype=np.float32)
    for start in range(0, len(image), STRIP):
        image[start : start + STRIP][flat.mask[start : start + STRIP] & Flag.LOW_FLAT > 0] = LOW_FLAT
    return image


def _pair(flats: Sequence[MasterFrame]) -> tuple[MasterFrame, MasterFrame] | None:
    """Two flats whose ratio tells most: of one filter and unlike light, else the two with the most light.

    Of one filter, pixels whose response depends on the light stand out. Of two filters, so do pixels that answer to
    one colour only; two flats of one filter and like light tell nothing that they do not tell alone.
    """

    def light(flat: MasterFrame) -> float:
        return float(flat.header.get("FLATLVL", 0.0))

    def worth(pair: tuple[MasterFrame, MasterFrame]) -> tuple[bool, float, list[str]]:
        one, other = pair
        frames = [flat.header.get("NCOMBINE", 1) * light(flat) for flat in pair]
        return same_filter(pair), min(frames), sorted((one.name, other.name))

    def same_filter(pair: tuple[MasterFrame, MasterFrame]) -> bool:
        return pair[0].header.get("FILTER", "") == pair[1].header.get("FILTER", "")

    def tells(pair: tuple[MasterFrame, MasterFrame]) -> bool:
        levels = sorted(map(light, pair))
        return levels[0] > 0 and (not same_filter(pair) or levels[1] >= UNLIKE * levels[0])

    return max(filter(tells, combinations(sorted(flats, key=lambda flat: flat.name), 2)), key=worth, default=None)


def _ratio(one: MasterFrame, other: MasterFrame) -> NDArray[np.float32]:
    """Ratio of two flats, 1 where one of them has nothing to say."""
    ratio = np.ones(one.mask.shape, np.float32)
    for start in range(0, len(ratio), STRIP):
        rows = slice(start, start + STRIP)
        known = (one.mask[rows] | other.mask[rows]) & (Flag.LOW_FLAT | Flag.NO_DATA) == 0
        np.divide(one.data[rows], other.data[rows], out=ratio[rows], where=known)
    return ratio
