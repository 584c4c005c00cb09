"""Make the bad pixel mask of a night from its masters and from user masks."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from itertools import combinations
from operator import and_, or_
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from nightcal.errors import FrameRejectedError
from nightcal.flags import MASK_DTYPE, Flag, MaskBits
from nightcal.io.keywords import list_mean_time, set_cards, warn
from nightcal.io.master import MasterFrame, convert_bits
from nightcal.io.product import Product
from nightcal.masters.defect_lines import find_bad_lines, find_beside_saturated
from nightcal.masters.defects import (
    AROUND,
    COLUMN_AND_ROW,
    STRIP,
    fill_columns,
    find_outliers,
    find_ratio_outliers,
    find_unresponsive,
    subtract_structure,
)
from nightcal.masters.flagged_pixels import warn_of_flagged_pixels
from nightcal.masters.flat import LOW_FLAT
from nightcal.masters.hot_pixels import Exposure, find_above
from nightcal.masters.keywords import list_inputs
from nightcal.numerics.blocks import cut_strips
from nightcal.warning_names import name_warning

log = logging.getLogger(__name__)

MOST_BAD = 0.03
"""Fraction of the pixels; 0.004 to 0.017 for good detectors, vignetted corners included."""

LINE, LINE_RESPONSE = 0.3, 0.05
"""Departure of a column or row that hurts: in read noises in a bias or in the longest exposure of a dark, and as a
fraction of a flat, which corrects smaller ones."""

UNKNOWN_NOISE = 10.0
"""Read noise [e-] of masters whose header does not tell it."""

UNLIKE = 2.0
"""Ratio of the levels of two flats of one filter from which on they show non-linear pixels."""

CAUSES = {
    "NUNRESP": "a colour mosaic, flats of several filters, or the shade of something?",
    "NRATIO": "a colour mosaic, or flats of unlike light?",
    "NLEVEL": "bias frames of several settings?",
    "NNOISY": "frames of several settings?",
    "NDARKHOT": "light in the darks, or a warm detector?",
    "NLINES": "readout noise of other kinds, or frames of several settings?",
    "NNODATA": "saturated calibration frames?",
}
"""What may be wrong if a search flags far too many pixels."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class DefectLimits:
    """Limits beyond which a pixel is bad.

    Attributes
    ----------
    bias_sigma : float
        Departure of a bias pixel from its column and row [rstd of all pixels].
    warm : float
        Excess of a dark pixel over its surroundings in the longest exposure of the dark, in units of the read noise and
        the noise of the typical dark current; infinity to flag only hot pixels.
    response : float
        Departure of a flat pixel from its surroundings, as a fraction of them.
    """

    bias_sigma: float = 10.0
    warm: float = 5.0
    response: float = 0.3


USUAL = DefectLimits()


def flag_bad_pixels(
    masters: Sequence[MasterFrame], user_masks: Sequence[MasterFrame] = (), limits: DefectLimits = USUAL
) -> Product:
    """Combine the defects found in a night's masters with the masks of the observer.

    Parameters
    ----------
    masters : sequence of MasterFrame
        Any number of bias, darks and flats of one setup; also bad pixel masks of other nights.
    user_masks : sequence of MasterFrame
        Masks from `nightcal.io.master.convert_to_mask`: nonzero pixels are bad; masks of nightcal keep their bits. A
        mask of another size is not used, with a warning.
    limits : DefectLimits

    Returns
    -------
    Product
        ``BAD`` for pixels that are noisy, unresponsive, off the level of their surroundings or without data, and for
        columns and rows that stand off those beside them; ``HOT`` for pixels that are hot in a dark. The image also has
        ``HOT`` for warm pixels, which the mask has not: they matter only to frames from which no dark is subtracted.
        ``LOW_FLAT`` and warnings are not passed on: they concern only the frames that use that flat or master.

    Raises
    ------
    FrameRejectedError
        If all masters are empty, and there is no user mask.
    """
    masters = [master for master in masters if not master.why_empty]
    if not masters and not user_masks:
        raise FrameRejectedError("all masters are empty")
    bits = np.zeros((masters or user_masks)[0].mask.shape, dtype=MASK_DTYPE)
    fitting = [mask for mask in user_masks if mask.mask.shape == bits.shape]
    cards = _search_defects(bits, masters, fitting, limits)
    warm = [_find_warm(dark, limits.warm) for dark in masters if dark.kind == "dark"]
    warm += [convert_bits(mask.data) & Flag.HOT > 0 for mask in (*masters, *fitting) if "NWARM" in mask.header]
    image = bits.copy()
    if warm:
        image[reduce(or_, warm)] |= Flag.HOT
        cards["NWARM"] = int(np.count_nonzero(image & ~bits))
    header = fits.Header()
    times = [master.mjd for master in masters if master.mjd is not None]
    set_cards(header, {"MASTER": "bpm", "IMAGETYP": "bpm"})
    if times:
        set_cards(header, list_mean_time(float(np.mean(times))))
    n_bad, n_hot = (int(np.count_nonzero(image & flag)) for flag in (Flag.BAD, Flag.HOT))
    set_cards(header, {"NBAD": n_bad, "NHOT": n_hot} | cards | {"NCOMBINE": len(masters)})
    shares = [f"{key} {100 * count / bits.size:.2g}" for key, count in _rank(cards)]
    worst = _rank(cards)[0][0] if shares else ""
    cause = f": {', '.join(shares)} percent ({CAUSES.get(worst, 'see docs/products.md')})" if worst else ""
    warn_of_flagged_pixels(header, {f"bad in the mask{cause}": int(np.count_nonzero(bits))}, bits.size, MOST_BAD)
    list_inputs(header, [(master.name, master.digest) for master in masters])
    list_inputs(header, [(mask.name, mask.digest) for mask in fitting], "USRMK", "USSHA")
    for mask in user_masks:
        if mask.mask.shape != bits.shape:
            sizes = [f"{shape[1]} x {shape[0]}" for shape in (mask.mask.shape, bits.shape)]
            text = name_warning("bad pixel mask not used", f"{mask.name} has {sizes[0]} pixels; expected {sizes[1]}")
            log.warning("%s.", text)
            warn(header, text)
    return Product(image, np.zeros(bits.shape, np.float32), bits, "", header)


def _rank(cards: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Rank the searches by the number of pixels that they flagged, without those that flagged none."""
    counts = [(key, n) for key, n in cards.items() if isinstance(n, int) and n and key not in ("NUSERMSK", "NWARM")]
    return sorted(counts, key=lambda pair: -pair[1])


def _search_defects(
    bits: MaskBits, masters: Sequence[MasterFrame], user_masks: Sequence[MasterFrame], limits: DefectLimits
) -> dict[str, Any]:
    """Flag the pixels that each search finds, in place; return their numbers by keyword."""
    biases, darks, flats, earlier = ([m for m in masters if m.kind == k] for k in ("bias", "dark", "flat", "bpm"))
    pair = _choose_pair(flats)
    no_data, bad, hot = (partial(_get_flagged, flag=flag) for flag in (Flag.NO_DATA, Flag.BAD, Flag.HOT))
    off_level = partial(_find_off_level, limit=limits.bias_sigma)
    odd = partial(_find_odd_response, limit=limits.response)
    cards: dict[str, Any] = {}

    def flag_pixels(keyword: str, flag: np.int16, found: Iterable[Mask], combine: Any = or_) -> None:
        masks = iter(found)  # one in memory at a time
        first = next(masks, None)
        if first is not None:
            mask = reduce(combine, masks, first)
            np.bitwise_or(bits, flag, out=bits, where=mask)
            cards[keyword] = int(np.count_nonzero(mask))

    for mask in earlier:
        bits |= np.asarray(mask.mask) & (Flag.BAD | Flag.HOT)
    flag_pixels("NNODATA", Flag.BAD, map(no_data, masters))
    flag_pixels("NNOISY", Flag.BAD, map(bad, biases + darks))
    flag_pixels("NLEVEL", Flag.BAD, map(off_level, biases))
    flag_pixels("NDARKHOT", Flag.HOT, map(hot, darks))
    flag_pixels("NUNRESP", Flag.BAD, map(odd, flats), and_)
    if pair is not None:
        flag_pixels("NRATIO", Flag.BAD, [find_ratio_outliers(_divide(*pair))])
        cards |= {f"RATIO{n}": flat.name for n, flat in enumerate(pair, start=1)}
    if user_masks:
        before = np.count_nonzero(bits)
        for mask in user_masks:
            bits |= np.asarray(mask.mask)
        cards["NUSERMSK"] = int(np.count_nonzero(bits) - before)
    flag_pixels("NLINES", Flag.BAD, map(partial(_find_lines, known=bits > 0), biases + darks + flats))
    flag_pixels("NCOLUMN", Flag.BAD, [fill_columns(bits > 0)])
    return cards


def _get_flagged(master: MasterFrame, flag: np.int16) -> Mask:
    return np.asarray(master.mask) & flag > 0


def _find_off_level(bias: MasterFrame, limit: float) -> Mask:
    return find_outliers(_subtract_by_amplifier(bias, COLUMN_AND_ROW), bias.variance, limit)


def _find_lines(master: MasterFrame, known: Mask) -> Mask:
    """Find the columns and rows that stand off even without their known bad pixels, or beside a saturated one."""
    noise = master.header.get("RNUSED", UNKNOWN_NOISE)
    least = {
        "bias": LINE * noise,
        "dark": LINE * noise / (master.longest_exposure_time or 1.0),
        "flat": LINE_RESPONSE,
    }[master.kind]
    off = find_bad_lines(master.data, master.variance, known, master.amplifier_areas, least)
    return off | find_beside_saturated(_get_flagged(master, Flag.NO_DATA))


def _find_warm(dark: MasterFrame, limit: float) -> Mask:
    """Find the pixels that would spoil a frame from which no dark is subtracted."""
    current, noise = float(dark.header.get("DARKCURR", 0.0)), float(dark.header.get("RNUSED", UNKNOWN_NOISE))
    exposure = Exposure(dark.longest_exposure_time or 1.0, noise, current)
    return find_above(_subtract_by_amplifier(dark, AROUND), dark.variance, exposure.find_warm_current(limit))


def _subtract_by_amplifier(master: MasterFrame, blocks: tuple[tuple[int, int], ...]) -> NDArray[np.float32]:
    """Subtract the large-scale structure of each amplifier separately: levels differ between amplifiers."""
    areas = master.amplifier_areas
    if not areas:
        return subtract_structure(master.data, blocks)
    rest = np.zeros(master.data.shape, np.float32)
    for area in areas:
        rows, columns = area.slices
        rest[area.slices] = subtract_structure(master.data[rows][:, columns], blocks)
    return rest


def _find_odd_response(flat: MasterFrame, limit: float) -> Mask:
    """Find odd pixels of a flat; those that it flags as low, which are 1 in it, have at most the limit of low ones."""
    image = np.array(flat.data[:], dtype=np.float32)
    for strip in cut_strips(len(image), STRIP):
        image[strip][flat.mask[strip] & Flag.LOW_FLAT > 0] = LOW_FLAT
    return find_unresponsive(image, flat.variance, limit)


def _choose_pair(flats: Sequence[MasterFrame]) -> tuple[MasterFrame, MasterFrame] | None:
    """Choose the two flats whose ratio is most useful: of one filter and unequal levels, else the two brightest flats.

    The ratio of two flats of one filter shows pixels whose response depends on the signal. That of two filters also
    shows pixels that respond to one colour only. Two flats of one filter and similar levels show neither.
    """

    def rank(pair: tuple[MasterFrame, MasterFrame]) -> tuple[bool, float, list[str]]:
        return same_filter(pair), min(flat.n_frames * flat.flat_level for flat in pair), sorted(f.name for f in pair)

    def same_filter(pair: tuple[MasterFrame, MasterFrame]) -> bool:
        return pair[0].filter == pair[1].filter

    def is_useful(pair: tuple[MasterFrame, MasterFrame]) -> bool:
        low, high = sorted(flat.flat_level for flat in pair)
        return low > 0 and (not same_filter(pair) or high >= UNLIKE * low)

    pairs = combinations(sorted(flats, key=lambda flat: flat.name), 2)
    return max(filter(is_useful, pairs), key=rank, default=None)


def _divide(one: MasterFrame, other: MasterFrame) -> NDArray[np.float32]:
    """Divide two flats; 1 where one of them has no data."""
    ratio = np.ones(one.mask.shape, np.float32)
    for strip in cut_strips(len(ratio), STRIP):
        known = (one.mask[strip] | other.mask[strip]) & (Flag.LOW_FLAT | Flag.NO_DATA) == 0
        np.divide(one.data[strip], other.data[strip], out=ratio[strip], where=known)
    return ratio
