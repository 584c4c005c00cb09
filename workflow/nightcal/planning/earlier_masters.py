"""Find the earlier masters with which a master is compared before it serves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from nightcal.planning.records import PlannedMaster, Setup
from nightcal.planning.temperature import are_close, choose_temperature

MOST_EARLIER = 3
"""Earlier masters among which the last accepted one is looked for."""

JUDGED = ("bias", "dark", "flat")
"""Kinds of masters that are judged."""

Earlier = Mapping[tuple[str, str], tuple[PlannedMaster, ...]]


def find_earlier(
    masters: Sequence[PlannedMaster],
    library: Sequence[PlannedMaster] = (),
    nights: Collection[str] | None = None,
    tolerance: float = 2.0,
) -> Earlier:
    """Find the earlier masters of each master.

    Parameters
    ----------
    masters : sequence of PlannedMaster
        Those that will be made.
    library : sequence of PlannedMaster
    nights : collection of str, optional
        Only masters of these nights, and those of the library, are compared with; None for those of any night.
    tolerance : float
        Largest temperature difference [deg C].

    Returns
    -------
    mapping of (str, str) to tuple of PlannedMaster
        By night and name of the master: up to three of its kind and setup that are earlier in observing time, the
        latest first.
    """
    rivals: dict[str, list[PlannedMaster]] = defaultdict(list)
    for master in (*library, *masters):
        if master.kind in JUDGED and (master.path is not None or nights is None or master.night in nights):
            rivals[master.kind].append(master)
    for kind in rivals:
        rivals[kind].sort(key=lambda m: (-m.mjd, m.path is not None, m.night, m.name))
    alike: dict[tuple[Setup, Setup], bool] = {}

    def is_comparable(master: PlannedMaster, other: PlannedMaster) -> bool:
        pair = master.setup, other.setup
        if pair not in alike:
            alike[pair] = not pair[0].find_differences(pair[1])
        return alike[pair] and _serves_the_same(master, other, tolerance)

    def list_earlier(master: PlannedMaster) -> tuple[PlannedMaster, ...]:
        found: list[PlannedMaster] = []
        for other in rivals[master.kind]:
            if other.mjd < master.mjd and is_comparable(master, other):
                found.append(other)
                if len(found) == MOST_EARLIER:
                    break
        return tuple(found)

    return {(m.night, m.name): list_earlier(m) for m in masters if m.kind in JUDGED}


def _serves_the_same(master: PlannedMaster, other: PlannedMaster, tolerance: float) -> bool:
    """Check whether two masters of a setup are of one filter, light source, temperature and pedestal."""
    degrees, others = (choose_temperature(one, tolerance) for one in (master, other))
    return (
        master.filter == other.filter
        and master.flat_source == other.flat_source
        and master.pedestal_exposure == other.pedestal_exposure
        and (degrees is None or others is None or are_close(degrees, others, tolerance))
    )
