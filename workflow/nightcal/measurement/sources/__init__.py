"""Detect and measure the sources of a calibrated frame."""

from nightcal.measurement.options import SourceOptions
from nightcal.measurement.sources.records import Sources, Statistics, make_keywords
from nightcal.measurement.sources.search import find_sources
from nightcal.measurement.sources.seeing import estimate_seeing

__all__ = ["SourceOptions", "Sources", "Statistics", "estimate_seeing", "find_sources", "make_keywords"]
