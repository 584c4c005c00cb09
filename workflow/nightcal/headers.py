"""One raw file's header: which image it holds, whether the file is whole, and its cards read with care."""

import re
import warnings
from copy import copy
from dataclasses import dataclass
from pathlib import Path

from astropy.io import fits

from nightcal.errors import UNREADABLE, SetAside, blame_machine
from nightcal.sections import NOTHING

SUFFIXES = tuple(stem + end for stem in (".fits", ".fit", ".fts") for end in ("", ".fz", ".gz"))
"""Names that raw frames have, in lower case."""

GZIP_MAGIC = b"\x1f\x8b"
LARGEST_NAXIS = 999
_NAXIS = re.compile(rb"NAXIS   =\s*(\d+)")

Value = str | int | float | bool


def stem(name: str) -> str:
    """Name of a raw file without what makes it a FITS file: ``a.b.fits.fz`` is ``a.b``."""
    ends = [end for end in SUFFIXES if name.lower().endswith(end)]
    return name[: -len(max(ends, key=len))] if ends else name


@dataclass(frozen=True, slots=True)
class RawHeader:
    """The header of one raw frame.

    Attributes
    ----------
    cards : astropy.io.fits.Header
        The image's cards, then those of the primary header that the image does not have.
    hdu : int
        Which HDU holds the image.
    shape : (int, int)
        Rows and columns as read out.
    """

    cards: fits.Header
    hdu: int
    shape: tuple[int, int]

    def value(self, name: str) -> Value | None:
        """Value of a card; None if it is absent or says that there is none (empty, UNKNOWN, N/A).

        Raises
        ------
        SetAside
            If the card is there and cannot be parsed.
        """
        try:
            value = self.cards.get(name)
        except fits.VerifyError as error:
            raise SetAside(f"{name} is {_as_written(self.cards.cards[name])!r}, not a value of FITS") from error
        if value is None or isinstance(value, fits.card.Undefined):
            return None
        if isinstance(value, str) and value.strip().upper() in NOTHING:
            return None
        return value.strip() if isinstance(value, str) else value


def read_header(path: Path) -> RawHeader:
    """Find the image of a raw file and read its header; the pixels stay unread.

    Parameters
    ----------
    path : Path
        Plain FITS, ``.fz`` or ``.gz``; the image in any HDU.

    Returns
    -------
    RawHeader

    Raises
    ------
    SetAside
        If the file is not FITS, is truncated, or does not hold exactly one image plane.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            _check_axes(path)
            with fits.open(path, memmap=True, lazy_load_hdus=False) as hdus:
                return _one_image(path, hdus)
        except UNREADABLE as error:
            blame_machine(error)
            raise SetAside(_why_unreadable(path, error)) from error


def _as_written(card: fits.Card) -> str:
    repaired = copy(card)
    try:
        repaired.verify("silentfix")
        return str(repaired.value).strip()
    except (ValueError, fits.VerifyError):
        return "unreadable text"


def _one_image(path: Path, hdus: fits.HDUList) -> RawHeader:
    images = {i: shape for i, hdu in enumerate(hdus) if hdu.is_image and (shape := _plane(hdu)) is not None}
    if not images:
        raise SetAside("the file holds no image")
    if len(images) > 1:
        raise SetAside(f"the file holds {len(images)} images; expected one (several amplifiers are not handled yet)")
    ((index, shape),) = images.items()
    hdu = hdus[index]
    planes = hdu.header["NAXIS3"] if hdu.header["NAXIS"] > 2 else 1
    if hdu.header["NAXIS"] > 3 or planes != 1:
        raise SetAside(f"the image is a cube of {planes} planes; expected one (several amplifiers are not handled yet)")
    _check_length(path, index)
    cards = hdu.header.copy()
    if index > 0:
        cards.extend(hdus[0].header, unique=True)
    if "NIGHTCAL" in cards:
        raise SetAside("the file is a product of nightcal, not a raw frame")
    return RawHeader(cards, index, shape)


def _plane(hdu: fits.hdu.base._BaseHDU) -> tuple[int, int] | None:
    axes = [hdu.header.get(f"NAXIS{i}", 0) for i in (1, 2)]
    return (axes[1], axes[0]) if hdu.header.get("NAXIS", 0) >= 2 and min(axes) > 0 else None


def _check_length(path: Path, index: int) -> None:
    """Compare the file's length with what its headers promise; padding at the very end may be missing."""
    with fits.open(path, memmap=True, disable_image_compression=True) as hdus:
        promised = hdus[index].fileinfo()["datLoc"] + hdus[index].size
    if _is_gzip(path):
        with path.open("rb") as file:
            file.seek(-4, 2)
            found = int.from_bytes(file.read(4), "little")
        promised %= 2**32
    else:
        found = path.stat().st_size
    if found < promised:
        raise SetAside(f"the file is truncated: {found} bytes, its header promises {promised}")


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == GZIP_MAGIC


def _check_axes(path: Path) -> None:
    """Refuse a number of axes that astropy would count for hours."""
    with path.open("rb") as file:
        match = _NAXIS.search(file.read(2880))
    if match is not None and int(match[1]) > LARGEST_NAXIS:
        raise SetAside(f"NAXIS is {match[1].decode()[:20]}; expected a whole number up to {LARGEST_NAXIS}")


def _why_unreadable(path: Path, error: Exception) -> str:
    text = " ".join(str(error).split())
    if not path.is_file():
        return "the file cannot be opened"
    if path.stat().st_size == 0:
        return "the file is empty"
    if "No SIMPLE card" in text:
        return "the file is not FITS"
    if "END card" in text:
        return "the header has no END card"
    return f"the file cannot be read as FITS ({type(error).__name__}: {text[:120]})"
