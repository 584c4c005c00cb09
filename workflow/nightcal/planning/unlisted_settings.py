"""Warn of settings of the camera that differ between science frames and their masters, but are not compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from nightcal.cameras.settings import normalise
from nightcal.planning.batches import ScienceFrame
from nightcal.planning.frames import Frame
from nightcal.planning.records import Match
from nightcal.warning_names import name_warning

Values = dict[str, str]


def warn_of_unlisted_settings(science: Sequence[ScienceFrame]) -> list[ScienceFrame]:
    """Warn of keywords that look like a setting, and have one value in all science frames, another in a master.

    Parameters
    ----------
    science : sequence of ScienceFrame

    Returns
    -------
    list of ScienceFrame
        The same, with warnings. A keyword that changes from frame to frame is no setting.
    """
    cameras = {item.frame.camera for item in science}
    constant = {name: _keep_constant(item.frame for item in science if item.frame.camera == name) for name in cameras}
    known: dict[int, Values] = {}

    def warn(match: Match, own: Values) -> Match:
        if match.master is None or not match.master.frames:
            return match
        if id(match.master) not in known:
            known[id(match.master)] = _keep_constant(match.master.frames)
        theirs, kind = known[id(match.master)], match.master.kind
        differ = [c for c in own if c in theirs and normalise(own[c]) != normalise(theirs[c])]
        if not differ:
            return match
        said = ", ".join(f"{card} is {own[card]!r}, {theirs[card]!r} in the {kind}" for card in differ)
        text = name_warning("unlisted setting", f"{said}; it is not compared")
        return replace(match, warning="; ".join(filter(None, [match.warning, text])))

    noted = []
    for item in science:
        own = constant[item.frame.camera]
        bias, dark, flat = (warn(match, own) for match in (item.bias, item.dark, item.flat))
        noted.append(replace(item, bias=bias, dark=dark, flat=flat) if own else item)
    return noted


def _keep_constant(frames: Iterable[Frame]) -> Values:
    """Keep the keywords that have the same value in all frames."""
    first, *others = (dict(frame.unlisted) for frame in frames)
    return {card: value for card, value in first.items() if all(other.get(card) == value for other in others)}
