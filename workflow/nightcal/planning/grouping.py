"""Grouping."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from nightcal.io.header_values import MJD_ZERO
from nightcal.planning.dark_scaling import same_exposure
from nightcal.planning.frames import Frame
from nightcal.planning.matching import Options
from nightcal.planning.naming import digest, slug
from nightcal.planning.records import PlannedMaster, Setup
from nightcal.planning.temperature import close, effective


def _stacks(kind: str, frames: Sequence[Frame], options: Options) -> list[PlannedMaster]:
    """Put the frames of one type into groups that may be stacked."""
    groups: dict[tuple[str, Setup, str, str], list[Frame]] = defaultdict(list)
    for frame in frames:
        if frame.kind == kind:
            groups[frame.night, Setup.of(frame), frame.filter if kind == "flat" else "", frame.flat_source].append(
                frame
            )
    masters = []
    for (night, setup, filter_name, light), members in groups.items():
        apart = kind == "dark" and options.darks.scaling_of(setup.camera) == "exact"
        for alike in _alike_darks(members, apart, options) if kind == "dark" else [members]:
            parts = _by_pause(alike, options.split_hours.get(kind))
            for part in parts:
                name = [kind, setup.name]
                if kind == "flat":
                    name.append(slug(filter_name) if filter_name else "nofilter")
                if light:
                    name.append(light)
                temperature = effective(part[0], options.temperature_tolerance) if kind == "dark" else None
                if temperature is not None:
                    name.append(f"{temperature:+.0f}C")
                if apart:
                    name.append(f"{part[0].exposure_time:g}s")
                if len(parts) > 1:
                    name.append(f"{MJD_ZERO + timedelta(days=part[0].mjd or 0):t%H%M%S}")
                masters.append(
                    PlannedMaster(
                        kind,
                        "_".join(name),
                        night,
                        setup,
                        _mean_time(part),
                        filter=filter_name,
                        flat_source=light,
                        set_temperature=part[0].set_temperature if kind == "dark" else None,
                        temperature=part[0].temperature if kind == "dark" else None,
                        exposures=_span(part),
                        frames=tuple(part),
                    )
                )
    return _uniquely_named(masters)


def _uniquely_named(masters: Sequence[PlannedMaster]) -> list[PlannedMaster]:
    """Tell masters apart whose names became equal when header text was made safe."""
    count = Counter((m.night, m.name.lower()) for m in masters)
    return [
        replace(m, name=f"{m.name}_{digest(repr((m.setup, m.filter, m.set_temperature, m.frames[0].name)))}")
        if count[m.night, m.name.lower()] > 1
        else m
        for m in masters
    ]


def _alike_darks(frames: Sequence[Frame], apart: bool, options: Options) -> list[list[Frame]]:
    """Part darks by temperature, and by exposure if ``apart``; each part in the order of time."""
    sets = _by_temperature(frames, options.temperature_tolerance)
    if apart:
        sets = [part for alike in sets for part in _by_exposure(alike)]
    return [sorted(alike, key=lambda f: (f.mjd or 0.0, f.name)) for alike in sets]


def _by_temperature(frames: Sequence[Frame], tolerance: float) -> list[list[Frame]]:
    """Part darks whose temperatures differ; a dark without one goes by itself."""
    known = [(effective(frame, tolerance), frame) for frame in frames]
    sets: list[list[tuple[float | None, Frame]]] = []
    for degrees, frame in sorted(known, key=lambda pair: (pair[0] is not None, pair[0] or 0.0)):
        if sets and close(sets[-1][0][0], degrees, tolerance):
            sets[-1].append((degrees, frame))
        else:
            sets.append([(degrees, frame)])
    return [[frame for _, frame in alike] for alike in sets]


def _by_exposure(frames: Sequence[Frame]) -> list[list[Frame]]:
    sets: list[list[Frame]] = []
    for frame in sorted(frames, key=lambda f: f.exposure_time):
        if sets and same_exposure(sets[-1][0].exposure_time, frame.exposure_time):
            sets[-1].append(frame)
        else:
            sets.append([frame])
    return sets


def _span(frames: Sequence[Frame]) -> tuple[float, float]:
    exposures = [frame.exposure_time for frame in frames]
    return min(exposures), max(exposures)


def _by_pause(frames: Sequence[Frame], hours: float | None) -> list[list[Frame]]:
    parts: list[list[Frame]] = []
    for frame in frames:
        last = parts[-1][-1] if parts else None
        if last is not None and (hours is None or ((frame.mjd or 0) - (last.mjd or 0)) * 24 <= hours):
            parts[-1].append(frame)
        else:
            parts.append([frame])
    return parts


def _mean_time(frames: Sequence[Frame]) -> float:
    return sum(frame.mjd or 0.0 for frame in frames) / len(frames)
