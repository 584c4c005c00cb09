"""Tables of Gaussian stars that shine into each other's apertures, by the closed form."""

import numpy as np
from astropy.table import Table
from scipy.stats import ncx2

FWHM = 3.0
SIGMA2 = FWHM**2 / (8 * np.log(2))


def share(radius, distance):
    """Part of a Gaussian star's light in an aperture some way off (Rice 1945; a noncentral chi^2 of two dimensions)."""
    return ncx2.cdf(radius**2 / SIGMA2, 2, np.maximum(np.asarray(distance, dtype=float), 1e-9) ** 2 / SIGMA2)


def crowd(x, y, flux, diameters=(4.5, 6.0, 9.0, 18.0), kron=8.0):
    """Table of stars as one would measure them without noise, and the light of the others in each aperture."""
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
    """Stars anywhere, many faint ones and some bright: their light, and what `crowd` gives."""
    rng = np.random.default_rng(seed)
    flux = rng.uniform(brightest**-0.7, 2000**-0.7, n) ** (-1 / 0.7)
    x, y = rng.uniform(0, side, (2, n))
    return flux, *crowd(x, y, flux)
