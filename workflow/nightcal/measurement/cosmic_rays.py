"""Find cosmic rays in one calibrated frame with the Laplacian test of van Dokkum (2001, PASP 113, 1420)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nightcal.flags import Flag, MaskBits
from nightcal.measurement.options import CosmicRayOptions
from nightcal.measurement.sharpness import find_soft_hits
from nightcal.numerics.kernels import cosmic_ray_kernels

if TYPE_CHECKING:
    from nightcal.measurement.frame import MeasuredFrame, Values

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

LEAST_SIDE = 5
"""Smallest side of a frame that the test can search [pix]."""

MOST = 0.1
"""If more than this fraction of the pixels is found, they are not cosmic rays."""

STAR = 10.0
"""A saturated pixel above this many times its 5 x 5 median is a cosmic ray, not a star (as in astroscrappy)."""

SQUARE = tuple((dy, dx) for dy in range(-2, 3) for dx in range(-2, 3))
ROUND = tuple((dy, dx) for dy, dx in SQUARE if abs(dy * dx) < 4)
UNKNOWN = 1e18
"""Variance of a pixel that is not finite [e-^2]."""


@dataclass(frozen=True, slots=True, eq=False)
class CosmicRays:
    """Cosmic rays of a frame.

    Attributes
    ----------
    hits : ndarray of bool, shape (ny, nx)
        Pixels hit.
    cleaned : ndarray of float32, shape (ny, nx), or None
        The frame with these pixels replaced [e-], if requested.
    options : CosmicRayOptions
        Options used.
    reason : str
        Why nothing was searched, or the result is rejected, in one sentence; else empty.
    """

    hits: Mask
    cleaned: Image | None
    options: CosmicRayOptions
    reason: str = ""

    def make_keywords(self) -> dict[str, Any]:
        """List the values for the header, by keyword."""
        used = self.options
        return {
            "CRSTAT": self.reason or "done",
            "CRNPIX": int(np.count_nonzero(self.hits)),
            "CRSIGCLP": used.sigclip,
            "CRSIGFRC": used.sigfrac,
            "CROBJLIM": used.objlim,
            "CRITER": used.iterations,
            "CRCLEAN": self.cleaned is not None,
        }


def flag_cosmic_rays(frame: MeasuredFrame, options: CosmicRayOptions) -> Values:
    """Flag the pixels of a frame that cosmic rays have hit, and replace them if the options ask for it.

    Parameters
    ----------
    frame : MeasuredFrame
    options : CosmicRayOptions

    Returns
    -------
    dict
        Values by keyword.
    """
    options = options.adapt_to_seeing(frame.fwhm)
    found = find_cosmic_rays(frame.data, frame.mask, uncertainty=frame.uncertainty, options=options)
    np.bitwise_or(frame.mask, Flag.COSMIC_RAY, out=frame.mask, where=found.hits)
    if found.cleaned is not None:
        frame.replace_pixels(found.hits, found.cleaned)
    return found.make_keywords()


def find_cosmic_rays(
    image: Image,
    mask: MaskBits,
    *,
    uncertainty: Image | None = None,
    read_noise: float | None = None,
    options: CosmicRayOptions | None = None,
) -> CosmicRays:
    """Find the pixels hit by cosmic rays.

    Parameters
    ----------
    image : ndarray of float32, shape (ny, nx)
        Calibrated frame, sky included [e-].
    mask : ndarray of int16, shape (ny, nx)
        Bits of `nightcal.flags.Flag`. A pixel with any bit but ``COSMIC_RAY``, or next to one, is never a hit, nor are
        four more pixels around saturated stars.
    uncertainty : ndarray of float32, shape (ny, nx), optional
        1 sigma error of each pixel [e-], with the contributions of flat, dark and amplifier.
    read_noise : float, optional
        [e-]; without an uncertainty, the variance is the image plus the square of the read noise.
    options : CosmicRayOptions, optional
        From `CosmicRayOptions.adapt_to_seeing`.

    Returns
    -------
    CosmicRays

    Raises
    ------
    ValueError
        If not exactly one of `uncertainty` and `read_noise` is given.

    Notes
    -----
    Without `spare_stars`, equal to ``astroscrappy.detect_cosmics(image, inmask=find_excluded_pixels(image, mask),
    invar=uncertainty**2, sepmed=False, satlevel=inf, sigclip=..., sigfrac=..., objlim=..., niter=...)``, or
    ``readnoise=read_noise`` instead of ``invar``. With it, `nightcal.measurement.sharpness.find_soft_hits` takes hits
    on starlight back.
    """
    if (uncertainty is None) == (read_noise is None):
        raise ValueError("Give either an uncertainty or a read noise.")
    options = options or CosmicRayOptions()
    reason = _explain_no_search(image, mask)
    if reason:
        return CosmicRays(np.zeros(image.shape, dtype=bool), image.copy() if options.clean else None, options, reason)
    image = np.ascontiguousarray(image, dtype=np.float32)
    if uncertainty is not None:
        variance = np.square(uncertainty, dtype=np.float32)
    else:
        assert read_noise is not None
        variance = image + np.float32(np.float32(read_noise) ** 2)
    unusable = find_excluded_pixels(image, mask)
    if not (_is_finite(image) and _is_finite(variance)):
        image, variance, unusable = _mask_gaps(image, variance, unusable)
    hits, cleaned = apply_laplacian_test(image, variance, unusable, options)
    if np.count_nonzero(hits) > MOST * hits.size:
        reason = (
            f"more than {100 * MOST:.0f} percent of the pixels look like cosmic rays, so none is flagged: the noise "
            "exceeds the uncertainty, or this is not an image of the sky"
        )
        hits, cleaned = np.zeros_like(hits), image.copy()
    elif options.spare_stars:
        noise = np.sqrt(np.maximum(variance, 0)) if uncertainty is None else uncertainty
        soft = find_soft_hits(image, noise, unusable, hits, options.sigclip)
        hits[soft], cleaned[soft] = False, image[soft]
    return CosmicRays(hits, cleaned if options.clean else None, options, reason)


def _explain_no_search(image: Image, mask: MaskBits) -> str:
    """Explain why a frame cannot be searched; empty if it can."""
    if min(image.shape) < LEAST_SIDE:
        return f"the frame has fewer than {LEAST_SIDE} pixels on a side"
    return "" if np.any(mask & ~Flag.COSMIC_RAY == 0) else "every pixel is masked"


def _is_finite(image: Image) -> bool:
    """Check that all pixels are finite: a finite sum is enough."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(image.sum()) or np.isfinite(image).all())


def _mask_gaps(image: Image, variance: Image, unusable: Mask) -> tuple[Image, Image, Mask]:
    """Treat pixels that are not finite as pixels without data."""
    gap = ~(np.isfinite(image) & np.isfinite(variance))
    return np.where(gap, np.float32(0), image), np.where(gap, np.float32(UNKNOWN), variance), unusable | gap


def find_excluded_pixels(image: Image, mask: MaskBits) -> Mask:
    """Find the pixels to exclude from the search: those with a mask bit, and around saturated stars.

    Parameters
    ----------
    image : ndarray of float32, shape (ny, nx)
    mask : ndarray of int16, shape (ny, nx)

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        Not yet grown by a pixel on all sides.

    Notes
    -----
    A saturated pixel belongs to a star if the median of the surrounding 5 x 5 pixels exceeds a tenth of it: a
    saturated cosmic ray has sky around it. Stars are grown twice by 5 x 5 pixels without corners, as in astroscrappy.
    """
    out = np.asarray(mask & ~Flag.COSMIC_RAY != 0)
    saturated = np.asarray(mask & Flag.SATURATED != 0)
    rows, columns = np.nonzero(saturated)
    if not len(rows) or len(rows) > MOST * mask.size:
        return out
    stars = _find_saturated_stars(image, rows, columns)
    for _ in range(2):
        stars = _grow_pixels(stars, image.shape)
    out[stars] = True
    return out


def _find_saturated_stars(
    image: Image, rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> tuple[NDArray[np.int64], ...]:
    ny, nx = image.shape
    above = np.zeros(len(rows), dtype=np.int64)
    limit = image[rows, columns] / np.float32(STAR)
    for dy, dx in SQUARE:
        y, x = np.clip(rows + dy, 0, ny - 1), np.clip(columns + dx, 0, nx - 1)
        above += image[y, x] > limit
    star = above > len(SQUARE) // 2
    return rows[star], columns[star]


def _grow_pixels(pixels: tuple[NDArray[np.int64], ...], shape: tuple[int, ...]) -> tuple[NDArray[np.int64], ...]:
    """Grow a list of pixels by 5 x 5 pixels without corners."""
    ny, nx = shape
    rows = np.concatenate([pixels[0] + dy for dy, _ in ROUND])
    columns = np.concatenate([pixels[1] + dx for _, dx in ROUND])
    inside = (rows >= 0) & (rows < ny) & (columns >= 0) & (columns < nx)
    return np.divmod(np.unique(rows[inside] * nx + columns[inside]), nx)


def apply_laplacian_test(
    image: Image, variance: Image, unusable: Mask, options: CosmicRayOptions
) -> tuple[Mask, Image]:
    """Search as astroscrappy does with ``sepmed=False``: compiled if numba is installed and the frame is large.

    The compiled search stops if more than a tenth of the pixels are hit, as the result is then rejected.

    Parameters
    ----------
    image, variance : ndarray of float32, shape (ny, nx), C-contiguous
        Finite; 5 or more pixels on each side.
    unusable : ndarray of bool, shape (ny, nx)
        Grown by a pixel on all sides, except at the edge of the image.
    options : CosmicRayOptions

    Returns
    -------
    hits : ndarray of bool, shape (ny, nx)
    cleaned : ndarray of float32, shape (ny, nx)
    """
    kernels = cosmic_ray_kernels(image.size)
    limits = (options.sigclip, options.sigfrac, options.objlim)
    if kernels is not None:
        return kernels.search(image, variance, _grow_mask(unusable), limits, options.iterations, MOST * image.size)
    from astroscrappy import detect_cosmics

    return detect_cosmics(
        image, inmask=unusable, invar=variance, sigclip=limits[0], sigfrac=limits[1], objlim=limits[2],
        satlevel=np.inf, niter=options.iterations, sepmed=False,
    )  # fmt: skip


def _grow_mask(mask: Mask) -> Mask:
    """Grow a mask by a pixel on all sides, leaving the pixels at the edge of the image unchanged."""
    out = mask.copy()
    if mask.any():
        rows = mask[:-2] | mask[1:-1] | mask[2:]
        out[1:-1, 1:-1] = rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]
    return out
