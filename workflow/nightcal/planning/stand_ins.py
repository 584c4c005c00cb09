"""Say before the night which masters stand in, if one of them is rejected once it is made."""

from __future__ import annotations

from nightcal.planning.plan import STEPS, Plan

MOST_LINES = 12


def describe_stand_ins(plan: Plan, night: str) -> list[str]:
    """List the masters that the science frames of a night use, each with those that stand in for it.

    Parameters
    ----------
    plan : Plan
    night : str

    Returns
    -------
    list of str
        A line for each master that has any, up to 12, and then how many more there are.
    """
    lines = {}
    for science in plan.find_science(night):
        for match in (getattr(science, step) for step in STEPS):
            first, *others = match.candidates or (None,)
            if first is not None and others:
                names = ", then ".join(
                    f"that of {m.night}" if m.name == first.name else f"{m.name} of {m.night}" for m in others
                )
                lines[first.night, first.name] = f"If {first.name} is rejected: {names}."
    found = list(lines.values())
    more = len(found) - MOST_LINES
    return found if more <= 0 else [*found[:MOST_LINES], f"... and {more} more, in plan.csv."]
