"""Adapt a master to frames that were summed at the telescope, or whose rows are stored in the opposite order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from nightcal.io.master import MasterFrame
from nightcal.planning.frames import Frame


def adapt_master(step: str, master: MasterFrame | None, frame: Frame, row_order: str) -> MasterFrame | None:
    """Adapt a master to a frame.

    Parameters
    ----------
    step : str
        ``bias``, ``dark``, ``flat`` or ``bpm``.
    master : MasterFrame or None
    frame : Frame
    row_order : str
        Order in which the rows of the frame are read; empty if unknown.

    Returns
    -------
    MasterFrame or None
        The master itself if nothing has to be changed.

    Notes
    -----
    A sum of n readouts has n times the bias of one.
    """
    if master is None or master.why_empty:
        return master
    if are_opposite(row_order, master.row_order):
        planes = (np.asarray(plane)[::-1] for plane in (master.data, master.variance, master.mask))
        data, variance, mask = planes
        master = replace(master, data=data, variance=variance, mask=mask)
    factor = frame.n_summed / master.n_summed if step == "bias" else 1.0
    if factor == 1.0:
        return master
    return replace(master, data=master.data * factor, variance=master.variance * factor**2, factor=factor)


def find_row_order(masters: Iterable[MasterFrame | None], own: str) -> str:
    """Find the order in which the rows of a frame are read.

    Parameters
    ----------
    masters : iterable of MasterFrame or None
    own : str
        Order in which the rows of the frame are stored; empty if unknown.

    Returns
    -------
    str
        That of the masters, if they agree and the frame has another; else its own.
    """
    orders = {master.row_order for master in masters if master is not None and master.row_order}
    return own if own in orders or len(orders) != 1 else orders.pop()


def are_opposite(first: str, second: str) -> bool:
    """Check whether two orders of rows are known and differ."""
    return bool(first and second and first != second)
