"""Make the Markdown table from the records of the cases."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import middle

HEAD = (
    "| | process: wall [s] | process: CPU [s] | process: memory [MB] | warm: wall [s] | warm: CPU [s] | CPU / nightcal"
    " | difference from nightcal |",
    "|---|---|---|---|---|---|---|---|",
)


def as_markdown(folder: Path, names: Sequence[str]) -> str:
    """Make the table of the cases that have been run.

    Parameters
    ----------
    folder : Path
        With a JSON file for each case.
    names : sequence of str
        Cases, in order; those without a file are left out.

    Returns
    -------
    str
    """
    lines = list(HEAD)
    for name in names:
        path = folder / f"{name}.json"
        if path.exists():
            lines += _section(name, json.loads(path.read_text()))
    return "\n".join(lines)


def _section(name: str, record: dict) -> list[str]:
    own = next((row for row in record["rows"] if not row["reason"]), None)
    title = f"| **`{name}`**: {record['what']} | | | | | | | |"
    return [title, *(_row(row, own) for row in record["rows"])]


def _row(row: dict, own: dict | None) -> str:
    if row["reason"]:
        return f"| {row['label']} | not run: {row['reason'].splitlines()[0]} | | | | | | |"
    cells = [
        row["label"],
        _spread([sample["wall"] for sample in row["whole"]]),
        _spread([sample["cpu"] for sample in row["whole"]]),
        f"{max(sample['peak'] for sample in row['whole']):.0f}",
        _spread([sample["wall"] for sample in row["inside"]]),
        _spread([sample["cpu"] for sample in row["inside"]]),
        _ratio(row, own),
        _difference(row),
    ]
    return f"| {' | '.join(cells)} |"


def _spread(values: list[float]) -> str:
    """Write the median and, if there are several values, their range."""
    if not values or values[0] != values[0]:
        return ""
    centre, least, most = middle(values)
    return _digits(centre) + (f" ({_digits(least)}–{_digits(most)})" if len(values) > 1 else "")


def _digits(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _ratio(row: dict, own: dict | None) -> str:
    """Divide CPU seconds by those of nightcal: of warm processes if both have them, else of whole processes."""
    if own is None or row is own:
        return ""
    for key in ("inside", "whole"):
        mine, theirs = ([sample["cpu"] for sample in which[key]] for which in (own, row))
        if mine and theirs and theirs[0] == theirs[0]:
            return f"{middle(theirs)[0] / middle(mine)[0]:.2g}" + " (process)" * (key == "whole")
    return ""


def _difference(row: dict) -> str:
    found, limit = row["difference"], row["limit"]
    if not found:
        return ""
    verdict = "" if row["agrees"] else "**does not agree**: "
    scale = f", scale {found['scale']:.4f}" if found["scale"] != 1 else ""
    value = found[limit["statistic"]]
    return f"{verdict}{limit['statistic']} {value:.3f} (at most {limit['most']}), median {found['median']:+.3f}{scale}"
