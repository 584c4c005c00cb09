"""Open raw frames and read their pixels by rows."""

from __future__ import annotations

import hashlib
import os
import warnings
from functools import cached_property
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from nightcal.errors import UNREADABLE, FrameRejectedError, blame_machine
from nightcal.io.file_content import HASH_DIGITS, hash_file
from nightcal.io.float_pixels import find_scale, lie_in_unit_range, remove_lowest, remove_sentinels
from nightcal.io.integrity import check_sums
from nightcal.io.raw_header import RawHeader, read_header

WORD = 2  # bytes
UNSIGNED = 0x8000


class Buffer:
    """Memory that is reused from file to file: allocating it again costs as much as reading the file."""

    def __init__(self) -> None:
        self._bytes = np.empty(0, np.uint8)
        self._lent = False

    def lend(self, size: int) -> NDArray[np.uint8]:
        """Lend memory of this many bytes; while it is lent, others get new memory."""
        if self._lent:
            return np.empty(size, np.uint8)
        self._lent = True
        if self._bytes.size < size:
            self._bytes = np.empty(size, np.uint8)
        return self._bytes[:size]

    def take_back(self, lent: NDArray[np.uint8]) -> None:
        """Take memory back, for the next file."""
        if lent.base is self._bytes:
            self._lent = False


class RawFile:
    """The file of a raw frame, shared by its image planes: open handles and content held in memory.

    Only one thread at a time may read or close it (``lock``), since astropy seeks before it reads.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = RLock()
        self.hdus: dict[bool, fits.HDUList] = {}
        self.held: NDArray[np.uint8] | None = None
        self.images: dict[RawHeader, NDArray[np.generic]] = {}
        self._descriptor: int | None = None
        self._buffer: Buffer | None = None
        self._digest = ""
        self.warnings: tuple[str, ...] | None = None

    @property
    def descriptor(self) -> int:
        """File descriptor, opened on first use."""
        if self._descriptor is None:
            self._descriptor = os.open(self.path, os.O_RDONLY)
        return self._descriptor

    @property
    def digest(self) -> str:
        """First digits of the SHA-256 of the file."""
        if not self._digest:
            self._digest = _hash(self.held) if self.held is not None else hash_file(self.path)
        return self._digest

    def hold(self, buffer: Buffer | None) -> None:
        """Read the whole file into memory."""
        with self.path.open("rb") as file:
            self._buffer = buffer or Buffer()
            content = self._buffer.lend(os.fstat(file.fileno()).st_size)
            self.held = content[: file.readinto(content.data)]
        self.held.flags.writeable = False

    def close(self) -> None:
        """Close the file and release its content."""
        with self.lock:
            if self.held is not None and self._buffer is not None:
                self._buffer.take_back(self.held)
            self.held = self._buffer = None
            self.images.clear()
            for hdus in self.hdus.values():
                hdus.close()
            self.hdus.clear()
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None


class RawImage:
    """A raw frame whose pixels are read by rows; of a file with several image planes, the first.

    Use it as a context manager, or call `close` when done. 16-bit integers in a plain FITS file are read directly;
    compressed tiles are decompressed only once each if rows are read in order. Pixels without data (``BLANK``, floats
    that no detector can give) are NaN. With `rescales`, floats from 0 to 1 are read as the integers that they were.

    Parameters
    ----------
    path : Path
    plane : (RawHeader, RawFile), optional
        An image plane, and the file that the planes share.

    Raises
    ------
    FrameRejectedError
        If the file cannot be used; also when its pixels are read and turn out to be damaged.
    """

    def __init__(self, path: Path, plane: tuple[RawHeader, RawFile] | None = None) -> None:
        self.path = path
        self.header, self._file = plane or (read_header(path), RawFile(path))
        self.rescales = False
        self._scale: int | None = None

    @cached_property
    def planes(self) -> tuple[RawImage, ...]:
        """All image planes, in file order; they are opened, held and closed together."""
        return self, *(RawImage(self.path, (header, self._file)) for header in self.header.planes[1:])

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns as read out."""
        return self.header.shape

    @cached_property
    def zero(self) -> int | None:
        """Offset from stored integers of 16 bits or less to ADU, 0 or 32768; None for other data types."""
        if self._number("BSCALE", 1) != 1 or self._blank is not None:
            return None
        zeros = {8: (0,), 16: (0, UNSIGNED)}.get(self._bits, ())
        zero = self._number("BZERO", 0)
        return int(zero) if zero in zeros else None

    @cached_property
    def _blank(self) -> int | None:
        """Stored integer that stands for no data; None if there is none, or for floats."""
        values = (self.header.value(name) for name in ("BLANK", "ZBLANK"))
        blank = next((value for value in values if isinstance(value, int) and not isinstance(value, bool)), None)
        return blank if self._bits > 0 else None

    @property
    def scale(self) -> int:
        """Number of ADU that 1.0 stands for: 1, unless a program scaled the integers; see `find_scale`."""
        if self._scale is None:
            self._scale = self._find_scale(self._read_section(0, 1) if self._bits < 0 else np.empty(0))
        return self._scale

    def _find_scale(self, pixels: NDArray[Any]) -> int:
        """Find the scale: from some pixels if they are no floats from 0 to 1, else from all."""
        if not self.rescales or self._bits > 0 or not lie_in_unit_range(pixels):
            return 1
        return find_scale(remove_sentinels(self._read_section(0, self.shape[0])))

    @property
    def _bits(self) -> int:
        return int(self._number("ZBITPIX", self._number("BITPIX", 0)))

    def _number(self, name: str, default: float) -> float:
        value = self.header.value(name)
        return value if isinstance(value, int | float) else default

    @property
    def digest(self) -> str:
        """First digits of the SHA-256 of the file."""
        return self._file.digest

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is doubtful in the file; known once it has been held in memory."""
        return self._file.warnings or ()

    def __enter__(self) -> RawImage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and release its content; reading rows opens it again."""
        self._file.close()

    def hold(self, buffer: Buffer | None = None) -> RawImage:
        """Read the file once and keep it in memory until it is closed, as source of pixels and `digest`.

        Its checksums are compared, if it has any.

        Parameters
        ----------
        buffer : Buffer, optional
            Memory to reuse, for frames that are held one after the other.

        Returns
        -------
        RawImage
            The image itself, for a ``with`` block that closes it.

        Raises
        ------
        FrameRejectedError, OSError
            As for `rows`.
        """
        if self._file.held is not None:
            return self
        try:
            self._file.hold(buffer)
            if self._file.warnings is None and self._file.held is not None:
                self._file.warnings = check_sums(self._file.held, self.path, self.header)
            for plane in self.planes:
                if not plane._data_start:
                    image = plane.rows(0, plane.shape[0])
                    image.flags.writeable = False
                    self._file.images[plane.header] = image
        except OSError as error:
            self.close()
            raise self._make_rejection(error) from error
        except FrameRejectedError:
            self.close()
            raise
        return self

    def words(self, start: int, stop: int, out: NDArray[np.uint16] | None = None) -> NDArray[np.uint16]:
        """Read rows as FITS stores them: signed big-endian 16-bit integers; add `zero` (not None) to get ADU.

        Parameters
        ----------
        start, stop : int
            0-based, half-open, of the image as read out.
        out : ndarray of uint16, shape (stop - start, nx), C-contiguous, optional
            Filled instead of a new array.

        Returns
        -------
        ndarray of uint16, shape (stop - start, nx)
            Read-only if the file is held in memory.

        Raises
        ------
        FrameRejectedError, OSError
            As for `rows`.
        """
        shape = (stop - start, self.shape[1])
        if start == stop:
            return np.empty(shape, np.uint16)
        held = self._file.held
        if self._data_start and held is None:
            words = np.empty(shape, np.uint16) if out is None else out
            try:
                with self._file.lock:
                    found = os.preadv(self._file.descriptor, [words.data.cast("B")], self._locate_row(start))
            except OSError as error:
                raise self._make_rejection(error) from error
            return self._check_complete(words, found, stop)
        if held is not None and self._data_start:
            stored = held[self._locate_row(start) : self._locate_row(stop)]
            words = self._check_complete(
                stored[: stored.nbytes // WORD * WORD].view(np.uint16), stored.nbytes, stop, shape
            )
        else:
            words = (self.rows(start, stop).astype(np.int32) - (self.zero or 0)).astype(">i2").view(np.uint16)
        if out is None:
            return words
        out[:] = words
        return out

    def _locate_row(self, row: int) -> int:
        """Find the offset of a row in the file."""
        return self._data_start + row * self.shape[1] * WORD

    def _check_complete(
        self, words: NDArray[np.uint16], found: int, stop: int, shape: tuple[int, int] | None = None
    ) -> Any:
        """Reshape words to rows; reject the frame if bytes are missing."""
        wanted = words.shape if shape is None else shape
        if found != wanted[0] * wanted[1] * WORD:
            raise FrameRejectedError(f"the file is truncated: the image ends before row {stop}")
        return words.reshape(wanted)

    def rows(self, start: int, stop: int) -> NDArray[np.generic]:
        """Read rows in ADU, in the data type of the file and native byte order.

        Parameters
        ----------
        start, stop : int
            0-based, half-open, of the image as read out.

        Returns
        -------
        ndarray, shape (stop - start, nx)
            [ADU]

        Raises
        ------
        FrameRejectedError
            If the pixels cannot be read, or end before ``stop``.
        OSError
            If the machine is at fault, not the file, such as too many open files.
        """
        image = self._file.images.get(self.header)
        if image is not None:
            return image[start:stop]
        if self._data_start:
            return self._to_native(self.words(start, stop))
        rows = self._read_section(start, stop)
        if rows.shape != (stop - start, self.shape[1]):
            raise FrameRejectedError(f"the file is truncated: the image ends before row {stop}")
        rows = rows.astype(rows.dtype.newbyteorder("="), copy=False)
        if self._blank is not None:
            return self._fill_blanks(rows)
        if rows.dtype.kind != "f":
            return remove_lowest(rows)
        rows = remove_sentinels(rows)
        if self._scale is None:
            self._scale = self._find_scale(rows)
        return rows if self._scale == 1 else np.rint(np.multiply(rows, self._scale, dtype=rows.dtype))

    def read(self) -> NDArray[np.generic]:
        """Read the whole image."""
        return self.rows(0, self.shape[0])

    @property
    def largest(self) -> float:
        """Largest value [ADU] that the integers of the file can hold; infinity for floats."""
        bits = self._bits
        if bits < 0:
            return float("inf")
        ends = (0, 255) if bits == 8 else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        return max(end * self._number("BSCALE", 1) for end in ends) + self._number("BZERO", 0)

    @cached_property
    def _data_start(self) -> int:
        """Offset at which words can be read directly from the file; 0 if they cannot."""
        if self._bits != 8 * WORD or self.zero is None:
            return 0
        if self.header.data_start is not None:
            return self.header.data_start
        before = self.header.plane * self.shape[0] * self.shape[1] * WORD
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                with fits.open(self.path, memmap=True) as hdus:
                    hdu = hdus[self.header.hdu]
                    compressed = hdus._file.compression or isinstance(hdu, fits.CompImageHDU)
                    return 0 if compressed else int(hdu.fileinfo()["datLoc"]) + before
            except UNREADABLE as error:
                raise self._make_rejection(error) from error

    def _to_native(self, words: NDArray[np.uint16]) -> NDArray[np.generic]:
        native = words.byteswap()
        if self.zero:
            native ^= np.uint16(UNSIGNED)
            return native
        return native.view(np.int16)

    def _fill_blanks(self, stored: NDArray[np.generic]) -> NDArray[np.generic]:
        """Turn stored integers into ADU, with NaN for those that stand for no data."""
        adu = stored.astype(np.float64) * self._number("BSCALE", 1) + self._number("BZERO", 0)
        adu[stored == self._blank] = np.nan
        return adu if stored.dtype.itemsize > WORD else adu.astype(np.float32)

    def _read_section(self, start: int, stop: int) -> NDArray[np.generic]:
        with self._file.lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                stored = self._blank is not None
                if stored not in self._file.hdus:
                    self._file.hdus[stored] = fits.open(self.path, memmap=False, do_not_scale_image_data=stored)
                hdu = self._file.hdus[stored][self.header.hdu]
                planes = (*(0,) * (hdu.header["NAXIS"] - 3), self.header.plane)[: hdu.header["NAXIS"] - 2]
                return np.asarray(hdu.section[(*planes, slice(start, stop), slice(None))])
            except (*UNREADABLE, RuntimeError) as error:
                raise self._make_rejection(error) from error

    def _make_rejection(self, error: Exception) -> FrameRejectedError:
        blame_machine(error)
        return FrameRejectedError(f"the pixels cannot be read ({type(error).__name__}: {str(error)[:80]})")


def _hash(content: NDArray[np.uint8]) -> str:
    return hashlib.sha256(content.data).hexdigest()[:HASH_DIGITS]
