"""Simulated catalogues: fields of known WCS for astrometry, crowds of stars of known flux for photometry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy.table import Table
from astropy.wcs import WCS
from nightcal.measurement.star_catalog import StarCatalog
from scipy.stats import ncx2

SHAPE = (2048, 2048)
FWHM = 3.0
SIGMA2 = FWHM**2 / (8 * np.log(2))


@dataclass
class Field:
    """Sources of a frame, its reference stars, and its true WCS."""

    table: Table
    catalog: StarCatalog
    wcs: WCS
    scale: float
    bend: float
    shape: tuple[int, int] = SHAPE

    def true_sky(self, x, y):
        """Sky coordinates of pixels (the first is 1)."""
        return self.wcs.all_pix2world(*distort(x, y, self.shape, self.bend), 1)

    def error(self, wcs):
        """Rms error of a WCS over the frame [pix]."""
        rows, columns = self.shape
        x, y = (a.ravel() for a in np.meshgrid(np.linspace(1, columns, 12), np.linspace(1, rows, 12)))
        (ra, dec), (ra_true, dec_true) = wcs.all_pix2world(x, y, 1), self.true_sky(x, y)
        east = (((ra - ra_true) + 180) % 360 - 180) * np.cos(np.radians(dec_true))
        return np.sqrt(np.mean(east**2 + (dec - dec_true) ** 2)) * 3600 / self.scale


def distort(x, y, shape, bend):
    """Apply a cubic radial distortion that is a fraction ``bend`` in the corners."""
    rows, columns = shape
    u, v = x - (columns + 1) / 2, y - (rows + 1) / 2
    factor = 1 + bend * (u**2 + v**2) / (np.hypot(rows, columns) / 2) ** 2
    return (columns + 1) / 2 + u * factor, (rows + 1) / 2 + v * factor


def undistort(x, y, shape, bend):
    """Undo `distort`, by iteration."""
    a, b = x, y
    for _ in range(20):
        back_x, back_y = distort(a, b, shape, bend)
        a, b = a + x - back_x, b + y - back_y
    return a, b


def tangent(ra, dec, scale, rotation, mirrored, shape=SHAPE):
    """Make a TAN WCS about the centre of a frame."""
    rows, columns = shape
    wcs = WCS(naxis=2)
    angle = np.radians(rotation)
    sign = 1 if mirrored else -1
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    wcs.wcs.cd = turn @ np.diag([sign, 1]) * scale / 3600
    wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [ra, dec]
    wcs.wcs.crpix, wcs.wcs.lonpole = [(columns + 1) / 2, (rows + 1) / 2], 180
    wcs.wcs.set()
    return wcs


def magnitudes(generator, number):
    """Draw magnitudes whose counts grow by 0.3 dex per magnitude, as far from the galactic plane, down to 20."""
    return 20 + np.log10(generator.uniform(size=number)) / 0.3


def simulate(
    seed,
    size,
    stars=400,
    ra=None,
    dec=None,
    bend=0.0,
    missing=0.1,
    spurious=0.15,
    catalog=None,
    deeper=0.0,
    shape=SHAPE,
):
    """Simulate a field of some size [arcmin], at a random position and rotation by default.

    The catalogue is ``deeper`` than the frame by this many magnitudes (negative: less deep).
    """
    generator = np.random.default_rng(seed)
    ra = generator.uniform(0, 360) if ra is None else ra
    dec = np.degrees(np.arcsin(generator.uniform(-0.98, 0.98))) if dec is None else dec
    scale = size * 60 / shape[1]
    wcs = tangent(ra, dec, scale, generator.uniform(0, 360), bool(generator.integers(2)), shape)
    rows, columns = shape
    if catalog is None:
        margin = 10 * 60 / scale  # pixels of catalogue around the frame
        wide = (columns + 2 * margin) * (rows + 2 * margin)
        number = int(stars * wide / (rows * columns) * 10 ** (0.3 * abs(deeper)))
        x, y = generator.uniform(-margin, columns + margin, number), generator.uniform(-margin, rows + margin, number)
        magnitude = magnitudes(generator, number)
        place = wcs.all_pix2world(x, y, 1)
        in_catalog = magnitude < 20 - max(0, -deeper)
        in_frame = magnitude < 20 - max(0, deeper)
        zero = np.zeros(in_catalog.sum())
        catalog = StarCatalog("simulated", place[0][in_catalog], place[1][in_catalog], zero, zero, 2016.0,
                              {"r": magnitude[in_catalog]})  # fmt: skip
    else:
        near = catalog.select_within(ra, dec, np.hypot(*shape) / 2 * scale / 3600 * 1.01).move_to_epoch(2016.0)
        x, y = wcs.all_world2pix(near.ra, near.dec, 1)
        magnitude, in_frame = near.rank_magnitudes(), np.ones(len(near), dtype=bool)
    x, y = undistort(x, y, shape, bend)
    seen = in_frame & (x > 1) & (x < columns) & (y > 1) & (y < rows) & (generator.uniform(size=len(x)) > missing)
    x, y, magnitude = x[seen], y[seen], magnitude[seen]
    faintest = magnitude.max(initial=0)
    sigma = 0.05 * 10 ** (0.2 * (magnitude - faintest)) + 0.003
    flux = 1e3 * 10 ** (-0.4 * (magnitude + generator.normal(0, 0.1, len(x)) - faintest))
    false = round(spurious / (1 - spurious) * len(x))
    table = Table(
        {
            "XWIN_IMAGE": np.append(x + generator.normal(0, sigma), generator.uniform(1, columns, false)),
            "YWIN_IMAGE": np.append(y + generator.normal(0, sigma), generator.uniform(1, rows, false)),
            "FLUX_AUTO": np.append(flux, generator.choice(flux, false)),
            "ERRX2WIN_IMAGE": np.append(sigma, np.full(false, 0.05)) ** 2,
            "ERRY2WIN_IMAGE": np.append(sigma, np.full(false, 0.05)) ** 2,
            "FLAGS": np.zeros(len(x) + false, dtype=np.int16),
        }
    )
    return Field(table[generator.permutation(len(table))], catalog, wcs, scale, bend, shape)


def beside(field, seed, distance=3.0):
    """Make a pointing [deg] that is wrong by a distance [arcmin] in a random direction."""
    generator = np.random.default_rng(seed)
    ra, dec = field.wcs.wcs.crval
    angle = generator.uniform(0, 2 * np.pi)
    shifted = tangent(ra, dec, 60.0, 0, False).all_pix2world(
        (field.shape[1] + 1) / 2 + distance * np.cos(angle), (field.shape[0] + 1) / 2 + distance * np.sin(angle), 1
    )
    return float(shifted[0]), float(shifted[1])


def share(radius, distance):
    """Fraction of a Gaussian star in an aperture at a distance: a noncentral chi^2 distribution (Rice 1945)."""
    return ncx2.cdf(radius**2 / SIGMA2, 2, np.maximum(np.asarray(distance, dtype=float), 1e-9) ** 2 / SIGMA2)


def crowd(x, y, flux, diameters=(4.5, 6.0, 9.0, 18.0), kron=8.0):
    """Make the table of stars measured without noise, and the flux of the others in each aperture."""
    places = np.column_stack([x, y]).astype(float)
    distance = np.linalg.norm(places[:, None] - places, axis=-1)
    flux, radii = np.asarray(flux, dtype=float), np.append(diameters, kron) / 2
    held = np.stack([share(radius, distance) @ flux for radius in radii], axis=1)
    own = flux[:, None] * share(radii, 0.0)
    table = Table({"XWIN_IMAGE": places[:, 0], "YWIN_IMAGE": places[:, 1]}, meta={"APERTURES": list(diameters)})
    table["FLUX_APER"], table["FLUXERR_APER"] = held[:, :-1], np.sqrt(held[:, :-1] + 100)
    table["FLUX_AUTO"], table["FLUXERR_AUTO"] = held[:, -1], np.sqrt(held[:, -1] + 100)
    table["FWHM_IMAGE"], table["FLAGS"] = np.full(len(flux), FWHM), np.zeros(len(flux), dtype=np.int16)
    return table, held - own


def random_crowd(seed, n=150, side=384, brightest=1e6):
    """Scatter many faint and some bright stars; return their fluxes, and what `crowd` returns."""
    rng = np.random.default_rng(seed)
    flux = rng.uniform(brightest**-0.7, 2000**-0.7, n) ** (-1 / 0.7)
    x, y = rng.uniform(0, side, (2, n))
    return flux, *crowd(x, y, flux)
