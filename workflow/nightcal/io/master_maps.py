"""Small summary of a master, by which it is judged and compared with others without reading its pixels."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.io.atomic import write_atomically

FACTS = "facts"
EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time of all members of the archive, so that the same master gives the same bytes."""

Values = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class MasterMaps:
    """Summary of a master.

    Attributes
    ----------
    facts : mapping of str to value
        Numbers and words of its header, by keyword; ``NAME`` is the name of the master.
    fine, fine_error : ndarray of float32, shape (rows, columns)
        Medians of blocks of 16 x 16 pixels and their standard errors, in the unit of the master; NaN for a block of
        which most pixels are flagged. The last block of a row or column ends with the image, and may overlap.
    amplifiers : ndarray of int8, shape (rows, columns)
        Amplifier that read each block, from 0; -1 for a block of several.
    columns, rows : ndarray of float32, shapes (nx,) and (ny,)
        Medians of the columns and rows.
    hot : ndarray of int32, shape (n,)
        Flat indices of bad and hot pixels, ascending; the first 20,000.
    """

    facts: Mapping[str, Any]
    fine: Values
    fine_error: Values
    amplifiers: NDArray[np.int8]
    columns: Values
    rows: Values
    hot: NDArray[np.int32]

    def find_number(self, keyword: str) -> float | None:
        """Find a number among the facts; None if it is missing or no number."""
        value = self.facts.get(keyword)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def write_maps(path: Path, maps: MasterMaps) -> None:
    """Write a summary atomically, as an .npz archive of fixed bytes."""
    arrays = {f.name: getattr(maps, f.name) for f in fields(maps) if f.name != FACTS}
    text = json.dumps(dict(maps.facts), sort_keys=True, ensure_ascii=True)
    arrays[FACTS] = np.frombuffer(text.encode("ascii"), np.uint8)
    with write_atomically(path) as name, zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{key}.npy", EPOCH), content.getvalue(), zipfile.ZIP_DEFLATED)


def read_maps(path: Path) -> MasterMaps:
    """Read a summary.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, or is no summary.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
        return MasterMaps(facts=json.loads(arrays.pop(FACTS).tobytes()), **arrays)
    except (KeyError, TypeError, EOFError, zipfile.BadZipFile) as mistake:
        raise ValueError(f"{path} is no summary of a master ({mistake})") from mistake
