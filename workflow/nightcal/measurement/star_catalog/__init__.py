"""Reference stars: where they are, how they move, how bright they are."""

from nightcal.measurement.star_catalog.record import BUNDLED_NAME, StarCatalog, bundled

__all__ = ["BUNDLED_NAME", "StarCatalog", "bundled"]
