"""Turn what the rules say of a frame into what changes, and tell it in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from nightcal.cameras.corrected_camera import Facts
from nightcal.errors import FrameRejectedError
from nightcal.io.date_formats import SECONDS_A_DAY
from nightcal.io.header_values import format_time
from nightcal.io.iso_time import parse_utc
from nightcal.planning.frames import Frame
from nightcal.planning.overrides import WORDS, Override
from nightcal.planning.records import Setup

SAME_TIME = 5e-4
"""Times that differ by less are the same [s]."""

_FIRST_WORDS = "ignored|type|filter|exposure|start|time|gain|read noise|temperature|mode|group|bias|dark|flat|no|note"
_VERDICT = re.compile(rf"(?:^|; )([^;]+\.ya?ml: (?:{_FIRST_WORDS})\b.*)")


def reach_verdict(frame: Frame, said: Mapping[str, Any], source: str) -> Override | None:
    """Reach a verdict on a frame.

    Parameters
    ----------
    frame : Frame
        As its header describes it.
    said : mapping of str to value
        What the rules say, by their words.
    source : str
        Name of the file of rules.

    Returns
    -------
    Override or None
        None if the header says the same.
    """
    note = f"note: {said['note']}" if "note" in said else ""
    if said.get("ignore"):
        reason = "ignored" if said["ignore"] is True else f"ignored: {said['ignore']}"
        remark = f"{source}: {_join(reason, note)}"
        return Override(ignored=remark, text=remark, remark=remark)
    read = read_values(frame)
    facts = Facts(
        **{word: said[word] for word in WORDS if word in said and not _is_known(frame, word, said[word], read)}
    )
    use = tuple(sorted(said.get("use", {}).items()))
    group = said.get("group", "")
    told = {word: WORDS[word].format("(none)" if value == "" else value) for word, value in facts.list_known().items()}
    more = [
        f"group {group}" if group else "",
        *(f"{step} {master}" if master else f"no {step}" for step, master in use),
        note,
    ]
    text, remark = _join(*told.values(), *more), _join(*(_tell_change(read, w, t) for w, t in told.items()), *more)
    if not text:
        return None
    without = f" (without that: {frame.problem})" if frame.problem and facts else ""
    return Override(facts, "", group, use, f"{source}: {text}", f"{source}: {remark}{without}")


def find_verdict(reason: str) -> str:
    """Find what rules say of a frame in the reason of its row of the plan; empty if nothing."""
    match = _VERDICT.search(reason)
    return match[1] if match else ""


def read_filter(frame: Frame) -> str:
    """Read the filter that the header names, without the colour of a mosaic."""
    return frame.filter.removesuffix(frame.plane).strip() if frame.plane else frame.filter


def read_values(frame: Frame) -> dict[str, Any]:
    """Read what the header says, by the words of the rules; what it does not say is left out."""
    start = None if frame.mjd is None else frame.mjd - 0.5 * frame.exposure_time / SECONDS_A_DAY
    values = {
        "type": frame.kind or None,
        "filter": read_filter(frame) or None,
        "exposure": frame.exposure_time if frame.mjd is not None else None,
        "time": None if start is None else format_time(start),
        "gain": frame.gain,
        "read_noise": frame.read_noise,
        "temperature": frame.set_temperature if frame.temperature is None else frame.temperature,
        "mode": Setup.from_frame(frame).mode or None,
    }
    return {word: value for word, value in values.items() if value is not None}


def _is_known(frame: Frame, word: str, value: Any, read: Mapping[str, Any]) -> bool:
    """Check whether the header says the same; gain and read noise of a rule also win over measured ones."""
    if frame.problem or word in ("gain", "read_noise"):
        return False
    if word == "time_shift":
        return value == 0
    if word == "temperature":
        return {frame.temperature, frame.set_temperature} == {value}
    if word == "time" and word in read:
        try:
            return abs(parse_utc(value) - parse_utc(read[word])) * SECONDS_A_DAY < SAME_TIME
        except FrameRejectedError:
            return False
    return value == read.get(word, "")


def _tell_change(read: Mapping[str, Any], word: str, told: str) -> str:
    if word not in read or word == "time_shift":
        return told
    was = read[word]
    return f"{told} (was {was:g})" if isinstance(was, float | int) else f"{told} (was {was})"


def _join(*parts: str) -> str:
    return ", ".join(part for part in parts if part)
