"""Sources of a calibrated frame: found, measured, flagged, in one table."""

from nightcal.sources.records import SourceOptions, Sources, Statistics
from nightcal.sources.search import cards, find_sources
from nightcal.sources.seeing import seeing_of

__all__ = ["SourceOptions", "Sources", "Statistics", "cards", "find_sources", "seeing_of"]
