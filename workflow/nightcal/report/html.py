"""Pieces of HTML. Whatever comes from headers, file names or the observer passes `show`."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from nightcal.planning.naming import make_printable

LONG = 32
"""Longer text in a cell is broken into lines."""

DASH = "\N{EN DASH}"


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table.

    Attributes
    ----------
    text : str
        As read; it will be escaped.
    value : float or None
        By which the column is sorted; None to sort by the text.
    is_warning : bool
    """

    text: str
    value: float | None = None
    is_warning: bool = False


def show(text: object) -> str:
    """Escape text, so that a browser shows it as it is: without tags, control characters or changes of direction."""
    return escape(make_printable(str(text)))


def format_number(value: object, style: str) -> str:
    """Format a number; empty if it is none."""
    return format(value, style) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def make_number(value: Any, style: str) -> Cell:
    """Make a cell with a number; empty if it is none."""
    text = format_number(value, style)
    return Cell(text, float(value) if text else None)


def make_table(
    caption: str, columns: Sequence[str], rows: Iterable[Sequence[Cell]], row_ids: Sequence[str] = ()
) -> str:
    """Make a table that can be sorted by each column.

    Parameters
    ----------
    caption : str
        For screen readers.
    columns : sequence of str
    rows : iterable of sequence of Cell
    row_ids : sequence of str
        Anchors of the rows, if other parts of the page refer to them.

    Returns
    -------
    str
    """
    head = "".join(f'<th scope="col"><button type="button">{show(column)}</button></th>' for column in columns)
    lines = []
    for n, row in enumerate(rows):
        anchor = f' id="{row_ids[n]}"' if row_ids else ""
        lines.append(f"<tr{anchor}>{''.join(map(_make_cell, row))}</tr>")
    body = "\n".join(lines)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{show(caption)}"><table>'
        f"<caption>{show(caption)}</caption><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>"
    )


def _make_cell(cell: Cell) -> str:
    if cell.value is not None:
        return f'<td class="n" data-v="{cell.value:.9g}">{show(cell.text)}</td>'
    kinds = ["warn"] * (cell.is_warning and bool(cell.text)) + ["long"] * (len(cell.text) > LONG)
    kind = f' class="{" ".join(kinds)}"' if kinds else ""
    return f"<td{kind}>{show(cell.text)}</td>"


def make_gallery(items: Iterable[tuple[bytes, str, str]]) -> str:
    """Make a gallery of JPEG pictures, each with its caption and the anchor to which it leads; empty without any."""
    figures = []
    for picture, caption, link in items:
        words = f'<a href="{show(link)}">{show(caption)}</a>' if link else show(caption)
        data = b64encode(picture).decode("ascii")
        image = f'<img loading="lazy" alt="{show(caption)}" src="data:image/jpeg;base64,{data}">'
        figures.append(f"<figure>{image}<figcaption>{words}</figcaption></figure>")
    return f'<div class="gallery">{"".join(figures)}</div>' if figures else ""


def make_section(title: str, *parts: str) -> str:
    """Make a section with its heading."""
    return f"<section><h2>{show(title)}</h2>\n" + "\n".join(filter(None, parts)) + "</section>"


def make_list(lines: Iterable[str], kind: str = "") -> str:
    """Make a list of sentences; empty without any."""
    items = "\n".join(f"<li>{show(line)}</li>" for line in lines)
    return f"<ul{f' class={kind}' if kind else ''}>\n{items}\n</ul>" if items else ""
