"""Cosmic rays in one calibrated frame, found by van Dokkum's Laplacian test (2001, PASP 113, 1420)."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.errors import ConfigurationError
from nightcal.flags import Flag
from nightcal.numerics.kernels import cosmic_ray_kernels

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

LEAST_SIDE = 5
"""Pixels on a side below which a frame has no place that the test can look at."""

MOST = 0.1
"""Share of the pixels above which what was found is not believed to be cosmic rays."""

STAR = 10.0
"""Saturation over the 5 x 5 median around it, above which it is not a star's (as astroscrappy has it)."""

SQUARE = tuple((dy, dx) for dy in range(-2, 3) for dx in range(-2, 3))
ROUND = tuple((dy, dx) for dy, dx in SQUARE if abs(dy * dx) < 4)
EVERYWHERE = 1e18
"""Variance of a pixel that holds no number [e-^2]."""


@dataclass(frozen=True, slots=True)
class CosmicRayOptions:
    """What an observer may want to change.

    Attributes
    ----------
    sigclip : float
        A pixel is looked at if its Laplacian is so many times the noise. Lower finds fainter hits, and more noise.
    sigfrac : float
        Beside a hit, this fraction of `sigclip` is enough.
    objlim : float
        How much sharper than a star a hit must be: the Laplacian over the fine structure of the image. Higher spares
        stars, and misses hits on them.
    iterations : int
        Rounds; after each, what was found is replaced, so that the next can see what lay beside it.
    clean : bool
        Whether to replace the pixels hit by the mean around them. They are flagged all the same.
    sharp_fwhm : float
        Seeing [pixels] below which cores of stars begin to look like hits.
    sharp_objlim : float
        `objlim` for such frames, and for those whose seeing is not known.
    """

    sigclip: float = 4.5
    sigfrac: float = 0.3
    objlim: float = 5.0
    iterations: int = 4
    clean: bool = False
    sharp_fwhm: float = 2.2
    sharp_objlim: float = 7.0

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "clean":
                ok, expected = isinstance(value, bool), "true or false"
            elif field.name == "iterations":
                ok = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 20
                expected = "a whole number from 1 to 20"
            else:
                least = 0 if field.name in ("sharp_fwhm", "sigfrac") else math.nextafter(0, 1)
                ok = isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value < math.inf
                expected = "a number above 0" if least else "a number, 0 or above"
            if not ok:
                raise ConfigurationError(f"cosmic_rays.{field.name} is {value!r}; expected {expected}.")

    def for_seeing(self, fwhm: float) -> CosmicRayOptions:
        """Options for a frame of this seeing.

        Parameters
        ----------
        fwhm : float
            [pixels]; NaN where it is not known, which counts as sharp.

        Returns
        -------
        CosmicRayOptions
            With the `objlim` to be used: that for sharp stars if need be, never a laxer one.
        """
        return self if fwhm >= self.sharp_fwhm else replace(self, objlim=max(self.objlim, self.sharp_objlim))


@dataclass(frozen=True, slots=True, eq=False)
class CosmicRays:
    """What was found in a frame.

    Attributes
    ----------
    hits : ndarray of bool, shape (ny, nx)
        Pixels hit.
    cleaned : ndarray of float32, shape (ny, nx), or None
        The frame with those pixels replaced [e-], if that was asked for.
    options : CosmicRayOptions
        As used.
    reason : str
        Why nothing was looked for, or is not believed, in one sentence; else empty.
    """

    hits: Mask
    cleaned: Image | None
    options: CosmicRayOptions
    reason: str = ""

    def cards(self) -> list[tuple[str, Any, str]]:
        """Say it in a header.

        Returns
        -------
        list of (str, value, str)
            Keyword, value and comment.
        """
        used = self.options
        return [
            ("CRSTAT", self.reason or "done", "cosmic rays"),
            ("CRNPIX", int(np.count_nonzero(self.hits)), "pixels hit by cosmic rays"),
            ("CRSIGCLP", used.sigclip, "Laplacian over noise of a hit"),
            ("CRSIGFRC", used.sigfrac, "fraction of it, beside a hit"),
            ("CROBJLIM", used.objlim, "Laplacian over fine structure of a hit"),
            ("CRITER", used.iterations, "rounds at most"),
            ("CRCLEAN", self.cleaned is not None, "are pixels hit replaced?"),
        ]


def find_cosmic_rays(
    image: Image,
    mask: NDArray[np.uint8],
    *,
    uncertainty: Image | None = None,
    read_noise: float | None = None,
    options: CosmicRayOptions | None = None,
) -> CosmicRays:
    """Find the pixels that cosmic rays have hit.

    Parameters
    ----------
    image : ndarray of float32, shape (ny, nx)
        A calibrated frame with its sky [e-].
    mask : ndarray of uint8, shape (ny, nx)
        Bits of `nightcal.flags.Flag`. A pixel with any but ``COSMIC_RAY``, or next to one, is never a hit; around
        saturated stars four more pixels are left alone.
    uncertainty : ndarray of float32, shape (ny, nx), optional
        One sigma of each pixel [e-]: what flat, dark and each amplifier contribute counts then.
    read_noise : float, optional
        [e-]; without an uncertainty, the variance is the image and the square of this.
    options : CosmicRayOptions, optional
        As `CosmicRayOptions.for_seeing` gives them.

    Returns
    -------
    CosmicRays

    Raises
    ------
    ValueError
        If not exactly one of `uncertainty` and `read_noise` is given.

    Notes
    -----
    The same as ``astroscrappy.detect_cosmics(image, inmask=excluded(image, mask), invar=uncertainty**2, sepmed=False,
    satlevel=inf, sigclip=..., sigfrac=..., objlim=..., niter=...)``; with a read noise, ``readnoise=read_noise`` in
    place of ``invar``.
    """
    if (uncertainty is None) == (read_noise is None):
        raise ValueError("Give either an uncertainty or a read noise.")
    options = options or CosmicRayOptions()
    reason = _no_use(image, mask)
    if reason:
        return CosmicRays(np.zeros(image.shape, dtype=bool), image.copy() if options.clean else None, options, reason)
    image = np.ascontiguousarray(image, dtype=np.float32)
    if uncertainty is not None:
        variance = np.square(uncertainty, dtype=np.float32)
    else:
        assert read_noise is not None
        variance = image + np.float32(np.float32(read_noise) ** 2)
    unusable = excluded(image, mask)
    if not (_all_finite(image) and _all_finite(variance)):
        image, variance, unusable = _without_gaps(image, variance, unusable)
    hits, cleaned = laplacian_test(image, variance, unusable, options)
    if np.count_nonzero(hits) > MOST * hits.size:
        reason = (
            f"more than {100 * MOST:.0f} percent of the pixels look like cosmic rays: the noise is larger than the "
            "uncertainty says, or the frame is no image of the sky; none is flagged"
        )
        hits, cleaned = np.zeros_like(hits), image.copy()
    return CosmicRays(hits, cleaned if options.clean else None, options, reason)


def _no_use(image: Image, mask: NDArray[np.uint8]) -> str:
    if min(image.shape) < LEAST_SIDE:
        return f"the frame has fewer than {LEAST_SIDE} pixels on a side"
    return "" if np.any(mask & ~Flag.COSMIC_RAY == 0) else "every pixel is masked"


def _all_finite(image: Image) -> bool:
    """Whether no pixel is NaN or infinite; a sum tells that at once unless it overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(image.sum()) or np.isfinite(image).all())


def _without_gaps(image: Image, variance: Image, unusable: Mask) -> tuple[Image, Image, Mask]:
    """Treat pixels that hold no number as pixels without data."""
    gap = ~(np.isfinite(image) & np.isfinite(variance))
    return np.where(gap, np.float32(0), image), np.where(gap, np.float32(EVERYWHERE), variance), unusable | gap


def excluded(image: Image, mask: NDArray[np.uint8]) -> Mask:
    """Pixels that are no use for finding cosmic rays: those with a bit in the mask, and around saturated stars.

    Parameters
    ----------
    image : ndarray of float32, shape (ny, nx)
    mask : ndarray of uint8, shape (ny, nx)

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        Before it is grown by a pixel on all sides.

    Notes
    -----
    A saturated pixel is a star's if the median of the 5 x 5 pixels around it is above a tenth of it: a saturated
    cosmic ray has sky around it. A star is grown twice by 5 x 5 pixels without corners, as in astroscrappy.
    """
    out = np.asarray(mask & ~Flag.COSMIC_RAY != 0)
    saturated = np.asarray(mask & Flag.SATURATED != 0)
    rows, columns = np.nonzero(saturated)
    if not len(rows) or len(rows) > MOST * mask.size:
        return out
    stars = _stars_among(image, rows, columns)
    for _ in range(2):
        stars = _grown(stars, image.shape)
    out[stars] = True
    return out


def _stars_among(image: Image, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
    ny, nx = image.shape
    above = np.zeros(len(rows), dtype=np.int64)
    limit = image[rows, columns] / np.float32(STAR)
    for dy, dx in SQUARE:
        y, x = np.clip(rows + dy, 0, ny - 1), np.clip(columns + dx, 0, nx - 1)
        above += image[y, x] > limit
    star = above > len(SQUARE) // 2
    return rows[star], columns[star]


def _grown(pixels: tuple[NDArray[np.int64], ...], shape: tuple[int, ...]) -> tuple[NDArray[np.int64], ...]:
    """Pixels, and those around them, each once."""
    ny, nx = shape
    rows = np.concatenate([pixels[0] + dy for dy, _ in ROUND])
    columns = np.concatenate([pixels[1] + dx for _, dx in ROUND])
    inside = (rows >= 0) & (rows < ny) & (columns >= 0) & (columns < nx)
    return np.divmod(np.unique(rows[inside] * nx + columns[inside]), nx)


def laplacian_test(image: Image, variance: Image, unusable: Mask, options: CosmicRayOptions) -> tuple[Mask, Image]:
    """Do as astroscrappy does with ``sepmed=False``, compiled where numba is installed and the frame is not small.

    The compiled search ends where more than a tenth of the pixels are hit, which is not believed anyway.

    Parameters
    ----------
    image, variance : ndarray of float32, shape (ny, nx), C-contiguous
        Finite; 5 or more pixels on each side.
    unusable : ndarray of bool, shape (ny, nx)
        Is grown by a pixel on all sides, but for those at the edge of the image.
    options : CosmicRayOptions

    Returns
    -------
    hits : ndarray of bool, shape (ny, nx)
    cleaned : ndarray of float32, shape (ny, nx)
    """
    kernels = cosmic_ray_kernels(image.size)
    limits = (options.sigclip, options.sigfrac, options.objlim)
    if kernels is not None:
        return kernels.search(image, variance, _next_to(unusable), limits, options.iterations, MOST * image.size)
    from astroscrappy import detect_cosmics

    return detect_cosmics(
        image, inmask=unusable, invar=variance, sigclip=limits[0], sigfrac=limits[1], objlim=limits[2],
        satlevel=np.inf, niter=options.iterations, sepmed=False,
    )  # fmt: skip


def _next_to(mask: Mask) -> Mask:
    """Grow a mask by a pixel on all sides, but for those at the edge of the image, which stay as they are."""
    out = mask.copy()
    if mask.any():
        rows = mask[:-2] | mask[1:-1] | mask[2:]
        out[1:-1, 1:-1] = rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]
    return out
