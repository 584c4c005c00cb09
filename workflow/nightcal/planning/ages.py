"""Grade the age of a master as ESO's association of calibrations does: within the plan, usable, or risky."""

from __future__ import annotations

from collections.abc import Mapping

PLAN, USABLE, RISKY = "plan", "usable", "risky"

Ages = Mapping[str, tuple[float, float]]
"""For bias, dark and flat: days within the calibration plan, and days within which a master is usable."""

USUAL_AGES: Ages = {"bias": (1, 7), "dark": (7, 60), "flat": (2, 14)}


def grade_age(kind: str, days: float, ages: Ages) -> str:
    """Grade the time between a master and a frame.

    Parameters
    ----------
    kind : str
    days : float
        Positive.
    ages : mapping of str to (float, float)

    Returns
    -------
    str
        ``plan``, ``usable`` or ``risky``; empty for a kind without ages.
    """
    if kind not in ages:
        return ""
    plan, usable = ages[kind]
    return PLAN if days <= plan else USABLE if days <= usable else RISKY
