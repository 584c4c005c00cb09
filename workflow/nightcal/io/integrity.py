"""Check the checksums of a raw file against its bytes (FITS standard 4.4.2.7)."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from nightcal.errors import UNREADABLE, FrameRejectedError
from nightcal.io.checksum import sum_bytes
from nightcal.io.raw_header import GZIP_MAGIC, RawHeader
from nightcal.numerics.kernels.plain import LARGEST_WORD
from nightcal.warning_names import name_warning

CHUNK = 2**19
"""Bytes that are summed at a time: they stay in the cache."""

LONGEST_SUM = 10  # digits
CHECKSUM_LENGTH = 16


@dataclass(frozen=True, slots=True)
class _Unit:
    """Header and data of an HDU: where they are in the file, and the sums that its header gives, empty for none."""

    start: int
    data: int
    end: int
    datasum: str
    checksum: str


def check_sums(content: NDArray[np.uint8], path: Path, header: RawHeader) -> tuple[str, ...]:
    """Compare the bytes of a raw file with its DATASUM and CHECKSUM.

    Parameters
    ----------
    content : ndarray of uint8, shape (n,)
        The whole file. If it is packed with gzip, its own checksum is compared, too.
    path : Path
    header : RawHeader

    Returns
    -------
    tuple of str
        A warning if only a CHECKSUM, of header and data, does not agree.

    Raises
    ------
    FrameRejectedError
        If a DATASUM, or the checksum of gzip, does not agree.
    """
    if bytes(content[: len(GZIP_MAGIC)]) == GZIP_MAGIC:
        content = _unpack(content)
    found = []
    for unit in _find_units(content, path, header):
        total = _sum_part(content[unit.data : unit.end]) if unit.datasum or unit.checksum else 0
        if unit.datasum and (total - int(unit.datasum)) % LARGEST_WORD:
            raise FrameRejectedError(
                f"its DATASUM ({unit.datasum}) does not agree with its pixels: damaged after it was written"
            )
        if unit.checksum and (total + _sum_part(content[unit.start : unit.data])) % LARGEST_WORD:
            only_header = unit.datasum or unit.data == unit.end
            what = "the header was changed after it was written" if only_header else "header or pixels were changed"
            found.append(name_warning("wrong checksum", f"CHECKSUM does not agree: {what}; the frame is used"))
    return tuple(dict.fromkeys(found))


def _unpack(content: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Unpack a gzip file of one or more members to its end, where zlib compares its checksum; astropy stops before."""
    rest, parts = content.tobytes(), []
    while rest.startswith(GZIP_MAGIC):
        member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            parts.append(member.decompress(rest))
        except zlib.error as error:
            raise FrameRejectedError(f"it cannot be unpacked ({error}): damaged after it was packed") from error
        rest = member.unused_data
    return np.frombuffer(b"".join(parts), np.uint8)


def _sum_part(content: NDArray[np.uint8]) -> int:
    return sum(sum_bytes(content[start : start + CHUNK]) for start in range(0, content.size, CHUNK))


def _find_units(content: NDArray[np.uint8], path: Path, header: RawHeader) -> Iterator[_Unit]:
    """Find the HDUs of a file that hold its image, and the primary header."""
    if header.data_start is not None:
        yield _Unit(
            0, header.data_start, content.size, *_read_sums(header.cards if _has_sums(header) else fits.Header())
        )
        return
    wanted = {0, *(plane.hdu for plane in header.planes)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with fits.open(path, memmap=True, disable_image_compression=True) as hdus:
                for number in wanted:
                    place = hdus[number].fileinfo()
                    end = place["datLoc"] + place["datSpan"]
                    yield _Unit(place["hdrLoc"], place["datLoc"], end, *_read_sums(hdus[number].header))
        except UNREADABLE:  # what cannot be found here is not checked; reading the pixels will tell
            return


def _has_sums(header: RawHeader) -> bool:
    return "DATASUM" in header or "CHECKSUM" in header


def _read_sums(header: fits.Header) -> tuple[str, str]:
    """Read DATASUM and CHECKSUM as text; what cannot be one, and a DATASUM of 0 (not computed), counts as missing."""
    found = []
    for name in ("DATASUM", "CHECKSUM"):
        try:
            found.append(str(header.get(name, "")).strip())
        except fits.VerifyError:
            found.append("")
    datasum, checksum = found
    whole = datasum.isascii() and datasum.isdecimal() and len(datasum) <= LONGEST_SUM and int(datasum) > 0
    return datasum if whole else "", checksum if len(checksum) == CHECKSUM_LENGTH and checksum.strip("0") else ""
