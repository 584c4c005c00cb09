"""Subtract fringes: fit a fringe frame to the sky of a science frame."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.io.keywords import set_cards
from nightcal.io.master import MasterFrame
from nightcal.io.product import Product
from nightcal.numerics.robust import rstd

BOX = 128
"""Side of the boxes in which the sky is measured [pix]: several fringes wide, so that the sky does not follow them."""

STAR_SIGMA = 4.0
"""Signal of a source in the mean of 3 x 3 pixels, in units of its scatter; the scatter includes that of fringes."""

GROWTH = 6
"""Sources are masked this far beyond the pixels that stand out [pix]."""

ROUNDS = 2
"""The sky is measured anew without the fringes found so far, and sources with it."""

CLIP = 4.0
"""Residuals beyond this are left out of the fit [sigma]."""

STACK_SIGMA = 3.0
"""Values farther from the fringe frame than this were clipped when it was made [sigma]."""

SIGNIFICANT = 5.0
"""Smallest ratio of the scale to its error for fringes to be subtracted."""

FEWEST_PIXELS = 1000
"""Pixels of sky that the fit needs."""

EVERY = 4
"""Scatter is measured in every fourth row and column, if the frame is large."""

LARGE = 1024

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class SkyResidual:
    """What is left of a frame without its large-scale sky.

    Attributes
    ----------
    image : ndarray of float32, shape (ny, nx)
        In the unit of the frame.
    usable : ndarray of bool, shape (ny, nx)
        Sky pixels: without flags and sources.
    level : float
        Median of the large-scale sky, in the unit of the frame.
    """

    image: Image
    usable: Mask
    level: float


@dataclass(frozen=True, slots=True)
class FringeFit:
    """Fringes of a frame.

    Attributes
    ----------
    scale, error : float
        Factor of the fringe frame, and one standard deviation; in the unit of the frame. About the level of the sky
        lines.
    before, after : float
        Scatter of the sky with the fringes, and without them [rstd, in the unit of the frame].
    """

    scale: float
    error: float
    before: float
    after: float

    @property
    def why_not(self) -> str:
        """Why the fringes must not be subtracted; empty if they may."""
        if not np.isfinite(self.scale):
            return "too few pixels of sky, or nothing but noise in the fringe frame"
        if self.scale <= SIGNIFICANT * self.error:
            return f"scale {self.scale:.3g} +- {self.error:.2g} is not significant"
        if self.after >= self.before:
            return "the scatter of the sky would not be lower"
        return ""


def measure_residual(data: NDArray[Any], bad: Mask, fringes: NDArray[Any] | float = 0.0) -> SkyResidual:
    """Subtract the large-scale sky, and find the pixels without sources.

    Parameters
    ----------
    data : ndarray of float32, shape (ny, nx)
        Calibrated frame, sky included.
    bad : ndarray of bool, shape (ny, nx)
        Flagged pixels.
    fringes : ndarray of float32, shape (ny, nx), or 0
        Fringes known so far, in the unit of the frame. Sky and sources are measured without them, but they stay in
        the result.

    Returns
    -------
    SkyResidual
        Without usable pixels, and with a level of NaN, if nearly all are flagged.
    """
    import sep

    if np.count_nonzero(~bad) < FEWEST_PIXELS:
        return SkyResidual(np.asarray(data, np.float32), np.zeros(bad.shape, bool), float("nan"))
    smooth = np.ascontiguousarray(data - fringes, np.float32)
    unusable = bad
    for _ in range(2):
        found = sep.Background(smooth, mask=unusable, bw=BOX, bh=BOX)
        sky = found.back(dtype=np.float32)
        unusable = bad | find_sources(smooth - sky, bad)
    return SkyResidual(np.asarray(data - sky, np.float32), ~unusable, float(np.median(sky)))


def find_sources(residual: Image, bad: Mask) -> Mask:
    """Find the pixels of sources, and those around.

    Parameters
    ----------
    residual : ndarray of float32, shape (ny, nx)
        Frame without its sky.
    bad : ndarray of bool, shape (ny, nx)
        Flagged pixels, which do not count.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
    """
    from scipy.ndimage import maximum_filter, uniform_filter

    mean = uniform_filter(np.where(bad, np.float32(0), residual), 3)
    bright = mean > STAR_SIGMA * float(rstd(thin_out(mean)[~thin_out(bad)]))
    return np.asarray(maximum_filter(bright, 2 * GROWTH + 1))


def thin_out(image: NDArray[Any]) -> NDArray[Any]:
    """Keep every fourth row and column of a large image, enough for its scatter."""
    return image[::EVERY, ::EVERY] if min(image.shape) >= LARGE else image


def fit_scale(
    residual: NDArray[Any], uncertainty: NDArray[Any], pattern: NDArray[Any], variance: NDArray[Any] | float = 0.0
) -> tuple[float, float]:
    """Fit ``residual = constant + scale * pattern`` by weighted least squares, without outliers.

    Parameters
    ----------
    residual, uncertainty, pattern : ndarray, shape (n,)
        Sky pixels: their values without the large-scale sky, one sigma, and the fringe frame.
    variance : ndarray, shape (n,), or 0
        Of the pattern, if its noise is independent of the residual's.

    Returns
    -------
    scale, error : float
        The error is multiplied by the scatter of the residuals over their uncertainties, if that is above 1. NaN if
        the pattern is nothing but noise.

    Notes
    -----
    Numerical Recipes, section 15.2. Noise of the pattern makes its square too large and the scale too small (Fuller,
    Measurement Error Models, section 1.2): the variance is subtracted from the square.
    """
    values, weights, pattern = (np.asarray(one, np.float64) for one in (residual, uncertainty, pattern))
    weights, noise = 1 / weights**2, np.broadcast_to(np.asarray(variance, np.float64), values.shape)
    keep = np.ones(len(values), bool)
    scale = error = np.nan
    for _ in range(5):
        some = weights[keep]
        shape = pattern - np.average(pattern[keep], weights=some)
        rest = values - np.average(values[keep], weights=some)
        square = np.sum(some * shape[keep] ** 2)
        power = square - np.sum(some * noise[keep])
        if power <= 0:
            return np.nan, np.nan
        scale = np.sum(some * shape[keep] * rest[keep]) / power
        pulls = (rest - scale * shape) * np.sqrt(weights)
        width = float(rstd(pulls[keep]))
        error = max(1.0, width) * np.sqrt(square) / power
        keep = np.abs(pulls) <= CLIP * width
    return float(scale), float(error)


def fit_fringes(
    data: Image, uncertainty: Image, bad: Mask, pattern: Image, known: Mask, variance: Image | None = None
) -> FringeFit:
    """Fit a fringe frame to the sky of a frame.

    Parameters
    ----------
    data, uncertainty : ndarray of float32, shape (ny, nx)
        Calibrated frame, sky included.
    bad : ndarray of bool, shape (ny, nx)
        Flagged pixels.
    pattern : ndarray of float32, shape (ny, nx)
        Fringe frame, as a fraction of the sky.
    known : ndarray of bool, shape (ny, nx)
        Where the fringe frame is known.
    variance : ndarray of float32, shape (ny, nx), optional
        Of a fringe frame to which the frame itself does not contribute. Not needed if it does with the same weight as
        the others: what the noise that both share adds to the scale is then what the noise of the pattern takes away.

    Returns
    -------
    FringeFit
        With a scale of NaN if there are too few pixels of sky.
    """
    scale, error, before, after = 0.0, 0.0, np.nan, np.nan
    for _ in range(ROUNDS):
        sky = measure_residual(data, bad, np.float32(scale) * pattern)
        use = thin_out(sky.usable & known)
        if np.count_nonzero(use) < FEWEST_PIXELS:
            return FringeFit(np.nan, np.nan, np.nan, np.nan)
        values, shape = thin_out(sky.image)[use], thin_out(pattern)[use]
        noise = 0.0 if variance is None else thin_out(variance)[use]
        scale, error = fit_scale(values, thin_out(uncertainty)[use], shape, noise)
        if not np.isfinite(scale):
            break
        before, after = float(rstd(values)), float(rstd(values - scale * shape))
    return FringeFit(scale, error, before, after)


@dataclass(frozen=True, slots=True, eq=False)
class FringeFrame:
    """A fringe frame, read into memory.

    Attributes
    ----------
    master : MasterFrame
    pattern, variance : ndarray of float32, shape (ny, nx)
        As a fraction of the sky.
    known : ndarray of bool, shape (ny, nx)
    used : ndarray of int16, shape (ny, nx)
        Number of frames averaged in each pixel.
    members : frozenset of str
        File names of the frames it is made from.
    """

    master: MasterFrame
    pattern: Image
    variance: Image
    known: Mask
    used: NDArray[np.int16]
    members: frozenset[str]


def read_fringe_frame(path: Path, master: MasterFrame) -> FringeFrame:
    """Read the pixels of a fringe frame.

    Parameters
    ----------
    path : Path
    master : MasterFrame
        The same file, as `nightcal.masters.choose.choose_master` found it.
    """
    from astropy.io import fits

    pattern, variance = (np.asarray(plane, np.float32) for plane in (master.data, master.variance))
    used = fits.getdata(path, "NUSED").astype(np.int16)
    members = frozenset(str(value) for card, value in master.header.items() if card.startswith("IMCMB"))
    return FringeFrame(master, pattern, variance, np.asarray(master.mask) == 0, used, members)


def leave_out(fringe: FringeFrame, product: Product) -> FringeFrame:
    """Take the share of a frame out of a fringe frame, so that its own noise and faint stars are not subtracted.

    Parameters
    ----------
    fringe : FringeFrame
    product : Product
        One of its frames.

    Returns
    -------
    FringeFrame
        The mean of the other frames. Pixels of sources, and values that the stack must have clipped, had no share.
    """
    bad, pattern = product.mask != 0, fringe.pattern
    scale = fit_fringes(product.data, product.uncertainty, bad, pattern, fringe.known).scale
    sky = measure_residual(product.data, bad, np.float32(scale if np.isfinite(scale) else 0.0) * pattern)
    share = sky.image / np.float32(sky.level)
    limit = STACK_SIGMA * product.uncertainty / np.float32(sky.level)
    shared = sky.usable & fringe.known & (np.abs(share - pattern) <= limit)
    others = np.maximum(fringe.used - 1, 1).astype(np.float32)
    rest = pattern + (pattern - share) / others
    variance = fringe.variance * (others + 1) / others
    return replace(
        fringe, pattern=np.where(shared, rest, pattern), variance=np.where(shared, variance, fringe.variance)
    )


def subtract_fringes(product: Product, fringe: FringeFrame | None, name: str = "") -> Product:
    """Subtract the fringes of a calibrated frame, if that makes its sky better, and record it in the header.

    Parameters
    ----------
    product : Product
        Its header is changed in place.
    fringe : FringeFrame or None
        Of its setup and filter; None if there is no accepted one.
    name : str
        File name of the product, by which the fringe frame knows its frames.

    Returns
    -------
    Product
        With new pixels, or the same product if nothing is subtracted.
    """
    cards: dict[str, Any] = {"FRNGCOR": False}
    if fringe is None:
        set_cards(product.header, cards | {"FRNGSTAT": "not subtracted: no accepted fringe frame"})
        return product
    cards |= {"FRNGMAST": fringe.master.name, "FRNGSHA": fringe.master.digest}
    cards |= {"FRNGVERD": fringe.master.verdict} if fringe.master.verdict else {}
    why_not, fit = _compare_frames(product, fringe.master), None
    if not why_not:
        fringe = leave_out(fringe, product) if name in fringe.members else fringe
        bad = product.mask != 0
        fit = fit_fringes(product.data, product.uncertainty, bad, fringe.pattern, fringe.known, fringe.variance)
        why_not = fit.why_not
        if np.isfinite(fit.scale):
            cards |= {"FRNGSCAL": fit.scale, "FRNGERR": fit.error, "FRNGBEF": fit.before, "FRNGAFT": fit.after}
    cards |= {"FRNGCOR": not why_not, "FRNGSTAT": f"not subtracted: {why_not}" if why_not else "subtracted"}
    set_cards(product.header, cards)
    if why_not or fit is None:
        return product
    data = product.data - np.float32(fit.scale) * fringe.pattern
    added = fit.scale**2 * fringe.variance + (fit.error * fringe.pattern) ** 2
    return replace(product, data=data, uncertainty=np.sqrt(product.uncertainty**2 + added).astype(np.float32))


def _compare_frames(product: Product, fringe: MasterFrame) -> str:
    """Say why a fringe frame does not fit a frame; empty if it does."""
    if fringe.why_empty:
        return f"the fringe frame is empty: {fringe.why_empty}"
    if fringe.data.shape != product.data.shape:
        return f"the fringe frame has {fringe.data.shape[1]} x {fringe.data.shape[0]} pixels"
    if fringe.header.get("ROWORDER") != product.header.get("ROWORDER"):
        return "the rows of the fringe frame are in another order"
    return ""
