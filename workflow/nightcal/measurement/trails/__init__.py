"""Find the trails of satellites and aeroplanes."""

from nightcal.measurement.trails.find import FoundTrails, Trail, find_trails

__all__ = ["FoundTrails", "Trail", "find_trails"]
