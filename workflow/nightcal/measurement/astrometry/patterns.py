"""Finding where a frame may look by patterns of its bright stars."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nightcal.measurement.astrometry.plate import Floats, Plate, plate_of
from nightcal.measurement.astrometry.plate_fit import Sources, Stars


@dataclass(frozen=True, slots=True)
class Search:
    """Where a frame may look.

    Attributes
    ----------
    ra, dec : float
        Where its middle should be [deg].
    radius : float
        How wrong that may be [deg].
    scale : float
        [arcsec/pix]
    tolerance : float
        How wrong that may be, as a fraction.
    """

    ra: float
    dec: float
    radius: float
    scale: float
    tolerance: float


ManyPlaces = Callable[[Floats, Floats], tuple[Floats, Floats]]

BRIGHTEST = 100  # sources among which patterns are looked for first
MOST_STARS = 20_000  # among which they are looked for; a wrong scale would ask for half the sky


def likely_plates(
    sources: Sources,
    flux: NDArray[np.float64],
    stars: Stars,
    brightness: NDArray[np.float64],
    search: Search,
    smallest: int,
) -> Iterator[Plate]:
    """Find linear plates that may be right, with ``seiza``.

    Parameters
    ----------
    sources : Sources
    flux : ndarray of float64
        Of each source, in any unit.
    stars : Stars
    brightness : ndarray of float64
        Of each star [mag].
    search : Search
    smallest : int
        Fewest sources.

    Yields
    ------
    Plate
        Without a time limit: the same whatever the load of the machine.
    """
    import seiza

    rows, columns = sources.shape
    first = np.lexsort((np.arange(len(brightness)), brightness))[:MOST_STARS]
    known = list(zip(*(values[first].tolist() for values in (stars.ra, stars.dec, brightness)), strict=True))
    catalog = seiza.StarCatalog.from_stars(known)
    brightest = np.lexsort((np.arange(len(flux)), -flux))
    for ordered in _choices(brightest, sources.good[brightest], smallest):
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
        plate = plate_of(_vectorised(match.wcs.pixel_to_world), sources.shape)
        if plate is not None:
            yield plate


def _vectorised(
    one: Callable[[float, float], tuple[float, float]],
) -> Callable[[Floats, Floats], tuple[Floats, Floats]]:
    """Let a function of one pixel take many."""

    def many(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        ra, dec = np.array([one(*place) for place in zip(x.tolist(), y.tolist(), strict=True)]).T
        return ra, dec

    return many


def _choices(brightest: NDArray[np.intp], good: NDArray[np.bool_], smallest: int) -> Iterator[NDArray[np.intp]]:
    """Choose the sources to look for patterns in: the brightest, then more of those without a flag."""
    yield brightest[:BRIGHTEST]
    trusted = brightest[good][: 2 * BRIGHTEST]
    if len(trusted) >= smallest and (len(trusted) > BRIGHTEST or not good[:BRIGHTEST].all()):
        yield trusted
