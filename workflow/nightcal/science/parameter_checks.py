"""Check the parameters of the low-level interface; messages have name, value and expected value."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from nightcal.detector.amplifier import Amplifier
from nightcal.detector.saturation import DIRECTIONS, Bleed
from nightcal.io.master import MasterFrame, convert_to_mask, load_master
from nightcal.io.sections import Area, as_area

UNITS = ("electron", "adu")
KINDS = {"master_bias": "bias", "master_dark": "dark", "master_flat": "flat", "bad_pixels": "bpm"}
NAMES = {"bias": "a master bias", "dark": "a master dark", "flat": "a master flat", "bpm": "a bad pixel mask"}
TYPE_KEYWORDS = ("IMAGETYP", "OBSTYPE", "FRAME")
TYPE_WORDS = {"bias": ("bias", "zero"), "dark": ("dark",), "flat": ("flat",), "science": ("light", "object", "science")}
"""Words that identify the type of a frame."""


def _check_positive(expected: str) -> Callable[[str, Any], float]:
    def check(name: str, value: Any) -> float:
        if not _is_number(value) or value <= 0:
            raise ValueError(f"{name} is {value!r}; expected {expected}")
        return float(value)

    return check


def _check_not_negative(expected: str) -> Callable[[str, Any], float]:
    def check(name: str, value: Any) -> float:
        if not _is_number(value) or value < 0:
            raise ValueError(f"{name} is {value!r}; expected {expected}")
        return float(value)

    return check


def _allow_none(check: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    return lambda name, value: None if value is None else check(name, value)


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, int | float | np.integer | np.floating)
        and not isinstance(value, bool)
        and math.isfinite(value)
    )


def _check_area(name: str, value: Any) -> Area:
    try:
        return as_area(value)
    except ValueError as error:
        raise ValueError(f"{name} is {value!r}; {error}") from error


def _check_areas(name: str, value: Any) -> tuple[Area, ...]:
    if value is None:
        return ()
    if isinstance(value, Mapping | str) or not isinstance(value, Sequence):
        raise TypeError(f"{name} is {value!r}; expected a list of areas, each with xmin, xmax, ymin and ymax")
    return tuple(_check_area(f"{name}[{i}]", entry) for i, entry in enumerate(value))


def _check_bleed(name: str, value: Any) -> Bleed:
    if isinstance(value, Bleed):
        return value
    expected = f"directions, of {', '.join(DIRECTIONS)}, and pixels, a whole number above 0"
    if not isinstance(value, Mapping) or set(value) != {"directions", "pixels"}:
        raise ValueError(f"{name} is {value!r}; expected {expected}")
    directions, pixels = value["directions"], value["pixels"]
    named = isinstance(directions, list | tuple) and directions and all(d in tuple(DIRECTIONS) for d in directions)
    if not named or not isinstance(pixels, int | np.integer) or isinstance(pixels, bool) or pixels < 1:
        raise ValueError(f"{name} is {value!r}; expected {expected}")
    return Bleed(tuple(directions), int(pixels))


def _check_method(name: str, value: Any) -> Any:
    if hasattr(value, "param_names") and getattr(value, "n_inputs", 0) == 1:  # an astropy model
        from nightcal.detector.overscan_model import fit_overscan

        return fit_overscan(value)
    if not callable(value):
        raise TypeError(
            f"{name} is {value!r}; expected one of OverscanMethods, a function of image and overscans, or an astropy "
            "model of one input"
        )
    return value


def _check_master(name: str, value: Any) -> MasterFrame:
    master = value if isinstance(value, MasterFrame) else _load_master(name, value)
    expected = KINDS[name]
    kind = find_kind(master.header)
    if kind and kind != expected:
        raise ValueError(f"{name} is {master.name}, whose header says {kind}; expected {NAMES[expected]}")
    if name == "bad_pixels" and 2 * np.count_nonzero(convert_to_mask(master).mask) > np.size(master.mask):
        raise ValueError(f"{name} is {master.name}, which flags more than half of its pixels; expected a mask")
    return master


def _load_master(name: str, value: Any) -> MasterFrame:
    if not isinstance(value, str | PathLike):
        raise TypeError(f"{name} is {value!r}; expected a file name, a loaded master, or None")
    if not Path(value).is_file():
        raise FileNotFoundError(f"{name} is {str(value)!r}; the file does not exist")
    try:
        return load_master(Path(value))
    except ValueError as error:
        raise ValueError(f"{name} is {str(value)!r}; expected a FITS image: {error}") from error


def find_kind(header: Mapping[str, Any]) -> str:
    """Find the kind of a master or frame from its header.

    Parameters
    ----------
    header : mapping

    Returns
    -------
    str
        ``bias``, ``dark``, ``flat``, ``bpm`` or ``science``; an empty string if unknown.
    """
    if header.get("MASTER") in NAMES:
        return str(header["MASTER"])
    text = " ".join(str(header.get(keyword, "")) for keyword in TYPE_KEYWORDS).lower()
    kinds = {kind for kind, words in TYPE_WORDS.items() if any(word in text for word in words)}
    return kinds.pop() if len(kinds) == 1 else ""


def _check_amplifiers(name: str, value: Any) -> tuple[Amplifier, ...] | None:
    if value is None:
        return None
    amplifiers = tuple(value) if isinstance(value, Sequence) else ()
    if not amplifiers or not all(isinstance(entry, Amplifier) for entry in amplifiers):
        raise TypeError(f"{name} is {value!r}; expected a list of Amplifier, or None")
    return amplifiers


def _check_binning(name: str, value: Any) -> tuple[int, int]:
    if not isinstance(value, Sequence) or len(value) != 2 or not all(isinstance(n, int) and n > 0 for n in value):
        raise ValueError(f"{name} is {value!r}; expected two whole numbers above 0, in x and y")
    return int(value[0]), int(value[1])


def _check_crosstalk(name: str, value: Any) -> tuple[tuple[float, ...], ...]:
    matrix = np.asarray(value, dtype=float)
    if matrix.size and (matrix.ndim != 2 or len(set(matrix.shape)) != 1 or not (np.abs(matrix) < 1).all()):
        raise ValueError(f"{name} is {value!r}; expected a square table of numbers between -1 and 1")
    return tuple(map(tuple, matrix.tolist())) if matrix.size else ()


def _check_unit(name: str, value: Any) -> str:
    if value not in UNITS:
        raise ValueError(f"{name} is {value!r}; expected one of {', '.join(UNITS)}")
    return str(value)


CHECKS: Mapping[str, Callable[[str, Any], Any]] = {
    "overscans": _check_areas,
    "overscan_method": _check_method,
    "master_bias": _allow_none(_check_master),
    "master_dark": _allow_none(_check_master),
    "master_flat": _allow_none(_check_master),
    "bad_pixels": _allow_none(_check_master),
    "gain": _check_positive("a positive number of e-/ADU"),
    "read_noise": _allow_none(_check_not_negative("e- of 0 or more")),
    "image_area": _allow_none(_check_area),
    "saturation": _allow_none(_check_positive("ADU above 0")),
    "linearity": _allow_none(_check_positive("ADU above 0")),
    "bleed": _allow_none(_check_bleed),
    "exposure_time": _allow_none(_check_not_negative("seconds of 0 or more")),
    "unit": _check_unit,
    "amplifiers": _check_amplifiers,
    "binning": _check_binning,
    "crosstalk": _check_crosstalk,
}
