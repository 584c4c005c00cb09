"""Reference stars: positions, proper motions and magnitudes."""

from nightcal.measurement.star_catalog.record import BUNDLED_NAME, StarCatalog, read_bundled_stars

__all__ = ["BUNDLED_NAME", "StarCatalog", "read_bundled_stars"]
