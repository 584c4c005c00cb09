"""Hash what was understood of raw frames, so that Snakemake notices if that changes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import fields
from operator import attrgetter

from nightcal.io.file_content import HASH_DIGITS
from nightcal.planning.frames import Frame

_understood = attrgetter(*(one.name for one in fields(Frame) if one.name not in ("path", "name", "override")))


def hash_frames(frames: Sequence[Frame]) -> str:
    """Hash what was understood of frames, and the content of their files, but not where or how old these are.

    Parameters
    ----------
    frames : sequence of Frame
        In the order in which a job reads them.

    Returns
    -------
    str
        Hexadecimal digits.
    """
    text = repr([_understood(frame) for frame in frames])
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:HASH_DIGITS]
