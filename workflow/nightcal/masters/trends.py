"""Tables of a night's masters: the verdicts on them, and the numbers to follow from night to night."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from nightcal.io.master_maps import MasterMaps
from nightcal.io.verdict import Verdict
from nightcal.planning.naming import make_printable

VERDICT_COLUMNS = ("master", "night", "kind", "verdict", "why", "compared_with")
CHECK_COLUMNS = ("check", "value", "limit", "outcome", "found")
TREND_COLUMNS = ("night", "kind", "master", "verdict")

NUMBERS = {
    "MJD-AVG": "mjd", "CCD-TEMP": "temperature", "EXPMAX": "exposure_time", "NCOMBINE": "frames",
    "NREJECT": "rejected", "GAINUSED": "gain_used", "GNMEAS1": "gain", "RNUSED": "read_noise_used",
    "RNMEAS1": "read_noise", "RNDARK": "read_noise", "BIASLVL": "level", "BIASDRFT": "level_scatter",
    "OVSCLEV": "overscan_level", "DARKCURR": "dark_current", "FLATLVL": "flat_level", "FLATDEP": "shape_scatter",
    "NOISERAT": "noise_ratio", "NHOT": "hot", "NOISY": "noisy", "FLATLOW": "low",
}  # fmt: skip
"""Numbers of a master to follow from night to night, by keyword, in the order of their columns."""

OF_AMPLIFIERS = ("GNMEAS", "RNMEAS")


def list_numbers(maps: MasterMaps) -> dict[str, float]:
    """List the numbers of a master to follow, by the names of their columns; ``gain_2`` is that of amplifier 2."""
    names = dict(NUMBERS)
    for keyword in maps.facts:
        root, amplifier = keyword.rstrip("0123456789"), keyword.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        if root in OF_AMPLIFIERS and amplifier not in ("", "1"):
            names[keyword] = f"{NUMBERS[f'{root}1']}_{amplifier}"
    found = {name: maps.find_number(keyword) for keyword, name in names.items() if keyword in maps.facts}
    return {name: number for name, number in found.items() if number is not None}


def write_verdict_table(verdicts: Iterable[Verdict]) -> str:
    """Write ``verdicts.csv``: a row for each check of each master; a master without checks has one row."""
    rows = []
    for verdict in verdicts:
        first = (verdict.master, verdict.night, verdict.kind, verdict.outcome.word, verdict.why, verdict.compared_with)
        checks: Sequence[tuple[Any, ...]] = [
            (check.name, format_number(check.value), format_number(check.limit), check.outcome.word, check.text)
            for check in verdict.checks
        ] or [("",) * len(CHECK_COLUMNS)]
        rows += [first + check for check in checks]
    return write_csv((*VERDICT_COLUMNS, *CHECK_COLUMNS), rows)


def write_trend_table(verdicts: Sequence[Verdict]) -> str:
    """Write ``calibrations.csv``: a row for each master, with level, read noise, gain, dark current and so on."""
    usual = dict.fromkeys(NUMBERS.values())
    more = sorted({name for verdict in verdicts for name in verdict.numbers} - set(usual))
    columns = [*usual, *more]
    rows = [
        (v.night, v.kind, v.master, v.outcome.word, *(format_number(v.numbers.get(name)) for name in columns))
        for v in verdicts
    ]
    return write_csv((*TREND_COLUMNS, *columns), rows)


def format_number(number: float | None) -> str:
    """Write a number for a table; empty if it is unknown."""
    return "" if number is None else f"{number:.8g}"


def write_csv(columns: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    """Write a table whose texts may come from headers."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    table.writerows([[make_printable(value) for value in row] for row in rows])
    return text.getvalue()
