"""Catalogues of one field, as frames of a night have them."""

import numpy as np
from nightcal.science.common_stars import FrameStars

SIDE = 1000.0


def make_sky(rng, stars=150):
    """Places [pix] and magnitudes of stars in a field twice as large as a frame."""
    return rng.uniform(-SIDE / 2, 1.5 * SIDE, (stars, 2)), rng.uniform(-12, -6, stars)


def observe(sky, rng, *, shift=(0.0, 0.0), loss=0.0, turned=False, variable=None):
    """Catalogue of a frame: the brightest first, with errors that grow with magnitude."""
    places, magnitudes = sky[0] + shift, sky[1] + loss
    if turned:
        places = SIDE - places
    if variable is not None:
        magnitudes = magnitudes.copy()
        magnitudes[variable] -= 1.5
    errors = 0.002 * 10 ** (0.2 * (magnitudes + 12))
    seen = ((places > 0) & (places < SIDE)).all(axis=1) & (errors < 0.05)
    places, magnitudes, errors = places[seen], magnitudes[seen], errors[seen]
    measured = rng.normal(magnitudes, errors)
    order = np.argsort(measured)
    return FrameStars(rng.normal(places, 0.1)[order], measured[order], errors[order])
