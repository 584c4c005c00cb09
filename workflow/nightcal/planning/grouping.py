"""Group calibration frames into the masters that are stacked from them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

from nightcal.io.header_values import MJD_ZERO
from nightcal.planning.dark_scaling import same_exposure
from nightcal.planning.frames import Frame
from nightcal.planning.matching import Options
from nightcal.planning.naming import hash_text, slugify
from nightcal.planning.overrides import NO_OVERRIDE
from nightcal.planning.records import PlannedMaster, Setup
from nightcal.planning.temperature import are_close, choose_temperature, depends_on_temperature
from nightcal.warning_names import name_warning

CALIBRATED_WITH = {"bias": (), "dark": ("bias",), "flat": ("bias", "dark")}


def group_frames(kind: str, frames: Sequence[Frame], options: Options) -> list[PlannedMaster]:
    """Group the frames of a type into masters: by night and setup, flats by filter and source, darks by temperature.

    Bias frames without overscan are grouped by temperature, too: their level depends on it. What the observer says of
    group and masters separates frames as well.
    """
    groups: dict[tuple[Hashable, ...], list[Frame]] = defaultdict(list)
    for frame in frames:
        if frame.kind == kind:
            override = frame.override or NO_OVERRIDE
            filter_name = frame.filter if kind == "flat" else ""
            use = tuple((step, name) for step, name in override.use if step in CALIBRATED_WITH[kind])
            shared = Setup.from_frame(frame).values, filter_name, frame.flat_source, frame.n_summed
            groups[(frame.night, *shared, override.group, use)].append(frame)
    has_filters = {frame.camera for frame in frames if frame.filter}
    masters = []
    for members in groups.values():
        first = members[0]
        night, source, summed = first.night, first.flat_source, first.n_summed
        filter_name, chosen = first.filter if kind == "flat" else "", (first.override or NO_OVERRIDE).group
        setup = Setup.from_frame(first)
        exact = kind == "dark" and options.darks.find_scaling(setup.camera) == "exact"
        by_temperature = depends_on_temperature(kind, setup.has_overscan)
        sets = _split_set(members, exact, options) if by_temperature else [members]
        for alike in sets:
            parts = _split_at_pauses(alike, options.split_hours.get(kind))
            for part in parts:
                name = [kind, setup.name]
                if kind == "flat":
                    name.append(slugify(filter_name) if filter_name else "nofilter")
                if source:
                    name.append(source)
                if summed > 1:
                    name.append(f"{summed}summed")
                if chosen:
                    name.append(slugify(chosen))
                temperature = choose_temperature(part[0], options.temperature_tolerance) if by_temperature else None
                if temperature is not None and (kind == "dark" or len(sets) > 1):
                    name.append(f"{temperature:+.0f}C")
                if exact:
                    name.append(f"{part[0].exposure_time:g}s")
                if len(parts) > 1:
                    name.append(f"{MJD_ZERO + timedelta(days=part[0].mjd or 0):t%H%M%S}")
                exposures = [frame.exposure_time for frame in part]
                masters.append(
                    PlannedMaster(
                        kind,
                        "_".join(name),
                        night,
                        setup,
                        average_time(part),
                        filter=filter_name,
                        flat_source=source,
                        set_temperature=part[0].set_temperature if by_temperature else None,
                        temperature=part[0].temperature if by_temperature else None,
                        exposures=(min(exposures), max(exposures)),
                        frames=tuple(part),
                        warnings=_warn_of_filter(part) if kind == "flat" and setup.camera in has_filters else (),
                    )
                )
    return make_names_unique(masters)


def _warn_of_filter(flats: Sequence[Frame]) -> tuple[str, ...]:
    """Warn of flats without a filter in a night with filters."""
    if flats[0].filter:
        return ()
    return (name_warning("unknown filter", f"{len(flats)} flats do not name it, and may be of several filters"),)


def group_darks(frames: Iterable[Frame], tolerance: float) -> list[list[Frame]]:
    """Group darks of any exposure time by night, setup and temperature."""
    groups: dict[tuple[str, Hashable, int], list[Frame]] = defaultdict(list)
    for frame in frames:
        if frame.kind == "dark":
            groups[frame.night, Setup.from_frame(frame).values, frame.n_summed].append(frame)
    return [alike for members in groups.values() for alike in _split_by_temperature(members, tolerance)]


def make_names_unique(masters: Sequence[PlannedMaster]) -> list[PlannedMaster]:
    """Add a hash to names that became equal when header text was made safe for file names."""
    count = Counter((m.night, m.name.lower()) for m in masters)
    return [
        replace(m, name=f"{m.name}_{hash_text(repr((m.setup, m.filter, m.set_temperature, m.frames[0].name)))}")
        if count[m.night, m.name.lower()] > 1
        else m
        for m in masters
    ]


def _split_set(frames: Sequence[Frame], exact: bool, options: Options) -> list[list[Frame]]:
    """Split frames by temperature, and by exposure time if ``exact``; each set is in time order."""
    sets = _split_by_temperature(frames, options.temperature_tolerance)
    if exact:
        sets = [part for alike in sets for part in split_by_exposure(alike)]
    return [sorted(alike, key=lambda f: (f.mjd or 0.0, f.name)) for alike in sets]


def _split_by_temperature(frames: Sequence[Frame], tolerance: float) -> list[list[Frame]]:
    """Split frames by temperature; those without a temperature form a separate set."""
    known = {id(frame): choose_temperature(frame, tolerance) for frame in frames}
    ordered = sorted(frames, key=lambda frame: (known[id(frame)] is not None, known[id(frame)] or 0.0))
    return _split(ordered, lambda first, _, frame: are_close(known[id(first)], known[id(frame)], tolerance))


def split_by_exposure(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Split frames by exposure time; the shortest come first."""
    ordered = sorted(frames, key=lambda frame: frame.exposure_time)
    return _split(ordered, lambda first, _, frame: same_exposure(first.exposure_time, frame.exposure_time))


def _split_at_pauses(frames: Sequence[Frame], hours: float | None) -> list[list[Frame]]:
    return _split(frames, lambda _, last, frame: hours is None or ((frame.mjd or 0) - (last.mjd or 0)) * 24 <= hours)


def _split(frames: Sequence[Frame], belongs: Callable[[Frame, Frame, Frame], bool]) -> list[list[Frame]]:
    """Split ordered frames into sets; a frame joins a set if ``belongs(first of set, last of set, frame)``."""
    sets: list[list[Frame]] = []
    for frame in frames:
        if sets and belongs(sets[-1][0], sets[-1][-1], frame):
            sets[-1].append(frame)
        else:
            sets.append([frame])
    return sets


def average_time(frames: Sequence[Frame]) -> float:
    """Average the mid-exposure times of frames [MJD]."""
    return sum(frame.mjd or 0.0 for frame in frames) / len(frames)
