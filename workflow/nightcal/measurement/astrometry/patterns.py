"""Search for the position of a frame by patterns of its bright stars."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nightcal.measurement.astrometry.plate import Floats, Plate, fit_linear_plate
from nightcal.measurement.astrometry.plate_fit import Sources, Stars


@dataclass(frozen=True, slots=True)
class Search:
    """Range of positions and scales to search.

    Attributes
    ----------
    ra, dec : float
        Expected centre of the frame [deg].
    radius : float
        Largest error of the centre [deg].
    scale : float
        Expected pixel scale [arcsec/pix].
    tolerance : float
        Largest error of the scale, as a fraction.
    """

    ra: float
    dec: float
    radius: float
    scale: float
    tolerance: float


BRIGHTEST = 100  # sources searched first
MOST_STARS = 20_000  # brightest reference stars searched; a wrong scale would ask for half the sky


def find_likely_plates(
    sources: Sources,
    flux: NDArray[np.float64],
    stars: Stars,
    brightness: NDArray[np.float64],
    search: Search,
    smallest: int,
) -> Iterator[Plate]:
    """Find candidates for the linear plate with ``seiza``.

    Parameters
    ----------
    sources : Sources
    flux : ndarray of float64
        Flux of each source, in any unit.
    stars : Stars
    brightness : ndarray of float64
        Magnitude of each star.
    search : Search
    smallest : int
        Smallest number of sources.

    Yields
    ------
    Plate
        There is no time limit: the result does not depend on the load of the machine.
    """
    import seiza

    rows, columns = sources.shape
    first = np.lexsort((np.arange(len(brightness)), brightness))[:MOST_STARS]
    known = list(zip(*(values[first].tolist() for values in (stars.ra, stars.dec, brightness)), strict=True))
    catalog = seiza.StarCatalog.from_stars(known)
    brightest = np.lexsort((np.arange(len(flux)), -flux))
    for ordered in _choose_sources(brightest, sources.good[brightest], smallest):
        seen = list(zip(*(values[ordered].tolist() for values in (sources.x, sources.y, flux)), strict=True))
        try:
            match = seiza.solve(
                seen,
                catalog,
                columns,
                rows,
                ra=search.ra % 360,
                dec=search.dec,
                scale_arcsec_px=search.scale,
                radius_deg=search.radius,
                scale_tolerance=search.tolerance,
            )
        except seiza.SolveError:
            continue
        plate = fit_linear_plate(_vectorise(match.wcs.pixel_to_world), sources.shape)
        if plate is not None:
            yield plate


def _vectorise(
    one: Callable[[float, float], tuple[float, float]],
) -> Callable[[Floats, Floats], tuple[Floats, Floats]]:
    """Make a function of one pixel accept many."""

    def many(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        ra, dec = np.array([one(*place) for place in zip(x.tolist(), y.tolist(), strict=True)]).T
        return ra, dec

    return many


def _choose_sources(brightest: NDArray[np.intp], good: NDArray[np.bool_], smallest: int) -> Iterator[NDArray[np.intp]]:
    """Choose the sources to search: the brightest, then more sources, without flags."""
    yield brightest[:BRIGHTEST]
    trusted = brightest[good][: 2 * BRIGHTEST]
    if len(trusted) >= smallest and (len(trusted) > BRIGHTEST or not good[:BRIGHTEST].all()):
        yield trusted
