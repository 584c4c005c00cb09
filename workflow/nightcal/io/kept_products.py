"""Keep products by second names, so that a job whose inputs are the same restores them instead of making them again.

Snakemake runs every job behind one that it runs, and deletes the products first. A late frame in one night makes the
verdicts of all later nights again; where a verdict stays the same, so do the pixels.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from astropy.io import fits
from astropy.io.fits.verify import VerifyWarning
from astropy.utils.exceptions import AstropyUserWarning

from nightcal.io.atomic import write_text
from nightcal.io.file_content import hash_file

log = logging.getLogger(__name__)

FITS_BEGIN = b"SIMPLE"

KEY = "key"
"""Name of the file that tells of what the kept products were made."""


class KeptProducts:
    """The products of a job, kept in a folder as further links to the same files, which take no space.

    Parameters
    ----------
    folder : Path
        Of this job alone, on the disk of the products.
    products : sequence of Path
    key : str
        Hash of all that they depend on.
    """

    def __init__(self, folder: Path, products: Sequence[Path], key: str) -> None:
        self.folder, self.products, self.key = folder, products, key

    def restore(self) -> bool:
        """Restore the products, if they were made of the same and are undamaged; say whether.

        Their times are those of the restoration, as Snakemake expects.
        """
        try:
            known = json.loads((self.folder / KEY).read_text(encoding="utf-8"))
            kept = [self.folder / str(n) for n in range(len(self.products))]
            if known["key"] != self.key or known["sums"] != [read_sums(path, verify=True) for path in kept]:
                return False
            for path, product in zip(kept, self.products, strict=True):
                product.parent.mkdir(parents=True, exist_ok=True)
                product.unlink(missing_ok=True)
                os.link(path, product)
                os.utime(product)
        except (OSError, ValueError, KeyError, TypeError):
            return False
        log.info("Nothing has changed of which %d products were made: restored.", len(self.products))
        return True

    def save(self) -> None:
        """Keep the products; the key comes last. Where the disk has no links, nothing is kept."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for path in self.folder.iterdir():
                path.unlink()
            for n, product in enumerate(self.products):
                os.link(product, self.folder / str(n))
            sums = [read_sums(product) for product in self.products]
            write_text(self.folder / KEY, json.dumps({"key": self.key, "sums": sums}))
        except OSError as mistake:
            log.info("The products are not kept for a later run: %s.", mistake)


def read_sums(path: Path, verify: bool = False) -> list[str]:
    """Read the checksums of a FITS file, part by part; any other file is hashed.

    Parameters
    ----------
    path : Path
    verify : bool
        Whether to compare the checksums of a FITS file with its bytes.

    Returns
    -------
    list of str
        A damaged FITS file has none.
    """
    with path.open("rb") as file:
        if file.read(len(FITS_BEGIN)) != FITS_BEGIN:
            return [hash_file(path)]
    with warnings.catch_warnings():
        warnings.simplefilter("error" if verify else "ignore")
        try:
            with fits.open(path, checksum=verify) as hdus:
                return [f"{hdu.header.get('CHECKSUM')} {hdu.header.get('DATASUM')}" for hdu in hdus]
        except (AstropyUserWarning, VerifyWarning):
            return []


def hash_inputs(frames: Iterable[Path], values: Mapping[str, Any]) -> str:
    """Hash what products are made of: raw frames, by size and times; files, by their content; and other values.

    Parameters
    ----------
    frames : iterable of Path
    values : mapping of str to value
        Paths, lists of them, numbers and text, by name.
    """
    known = [(str(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns) for path, status in _look_at(frames)]
    told = {name: _describe(value) for name, value in values.items()}
    text = json.dumps([hash_sources(), known, told], sort_keys=True, default=repr)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _look_at(paths: Iterable[Path]) -> list[tuple[Path, os.stat_result]]:
    return [(path, path.stat()) for path in paths if path.exists()]


def _describe(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value), hash_file(value) if value.is_file() else ""
    if isinstance(value, list | tuple):
        return [_describe(item) for item in value]
    return value


def hash_sources() -> str:
    """Hash the program itself: another version may make other products."""
    sources = sorted(Path(__file__).parents[1].rglob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
