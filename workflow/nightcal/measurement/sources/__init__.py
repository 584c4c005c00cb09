"""Sources of a calibrated frame: found, measured, flagged, in one table."""

from nightcal.measurement.sources.records import SourceOptions, Sources, Statistics, cards
from nightcal.measurement.sources.search import find_sources
from nightcal.measurement.sources.seeing import seeing_of

__all__ = ["SourceOptions", "Sources", "Statistics", "cards", "find_sources", "seeing_of"]
