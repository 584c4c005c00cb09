"""Say how many products are made, and how long the others will take, while the jobs of a night run."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path

INTERVAL = 15.0
"""Time between two looks [s]."""

FEWEST = 2
"""Products from which the rest of the time is estimated."""


def describe_progress(done: int, total: int, seconds: float) -> str:
    """Say how many frames are calibrated, and how long the others will take.

    Parameters
    ----------
    done, total : int
    seconds : float
        Since the first job began to calibrate.

    Returns
    -------
    str
    """
    words = f"Calibrated {done} of {total} science frames"
    if done < FEWEST or done == total:
        return f"{words}."
    left = seconds * (total - done) / done
    return f"{words}, about {f'{left / 60:.0f} min' if left > 90 else f'{max(left, 1):.0f} s'} left."


def find_missing(paths: Collection[Path]) -> set[Path]:
    """Find the files that do not exist, with one look at each folder."""
    names = {folder: set(os.listdir(folder)) if folder.is_dir() else set() for folder in {p.parent for p in paths}}
    return {path for path in paths if path.name not in names[path.parent]}


def watch_products(paths: Collection[Path], say: Callable[[str], None], interval: float = INTERVAL) -> threading.Thread:
    """Say again and again how many products exist that did not before, until all do.

    Parameters
    ----------
    paths : collection of Path
        Products of science frames.
    say : function
        Takes a line; called only if something has changed.
    interval : float
        [s]

    Returns
    -------
    Thread
        Started; it ends with the process.
    """
    missing = find_missing(paths)
    thread = threading.Thread(target=_watch, args=(missing, say, interval), daemon=True)
    thread.start()
    return thread


def _watch(missing: set[Path], say: Callable[[str], None], interval: float) -> None:
    left, told = missing, 0
    begin = time.monotonic()
    while left:
        time.sleep(interval)
        left = find_missing(left)
        done = len(missing) - len(left)
        if told == 0 and done == 0:
            begin = time.monotonic()  # masters come first
        elif done != told:
            say(describe_progress(done, len(missing), time.monotonic() - begin))
            told = done
