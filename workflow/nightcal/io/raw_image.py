"""Opening raw frames and reading their pixels by rows."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from nightcal.errors import UNREADABLE, FrameRejectedError, blame_machine
from nightcal.io.checksum import HASH_DIGITS, file_hash
from nightcal.io.raw_header import RawHeader, read_header

WORD = 2  # bytes
UNSIGNED = 0x8000


class Buffer:
    """Memory for one file after the other: to take new memory from the system costs as much as to read the file."""

    def __init__(self) -> None:
        self._bytes = np.empty(0, np.uint8)
        self._lent = False

    def lend(self, size: int) -> NDArray[np.uint8]:
        """Lend so many bytes until they are given back; meanwhile, others get new ones."""
        if self._lent:
            return np.empty(size, np.uint8)
        self._lent = True
        if self._bytes.size < size:
            self._bytes = np.empty(size, np.uint8)
        return self._bytes[:size]

    def take_back(self, lent: NDArray[np.uint8]) -> None:
        """Let the next borrower have the memory."""
        if lent.base is self._bytes:
            self._lent = False


class RawFile:
    """The file of a raw frame, whose image planes share it: what is open of it, and what is held in memory.

    One thread at a time reads or closes it (``lock``): a library that seeks before it reads would get the bytes that
    another thread asked for.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = RLock()
        self.hdus: fits.HDUList | None = None
        self.held: NDArray[np.uint8] | None = None
        self.images: dict[RawHeader, NDArray[np.generic]] = {}
        self._descriptor: int | None = None
        self._buffer: Buffer | None = None
        self._digest = ""

    @property
    def descriptor(self) -> int:
        """Of the file, opened when first asked for."""
        if self._descriptor is None:
            self._descriptor = os.open(self.path, os.O_RDONLY)
        return self._descriptor

    @property
    def digest(self) -> str:
        """First digits of the SHA-256 of the file."""
        if not self._digest:
            self._digest = _digits(self.held) if self.held is not None else file_hash(self.path)
        return self._digest

    def hold(self, buffer: Buffer | None) -> None:
        """Read the whole file into memory."""
        with self.path.open("rb") as file:
            self._buffer = buffer or Buffer()
            content = self._buffer.lend(os.fstat(file.fileno()).st_size)
            self.held = content[: file.readinto(content.data)]
        self.held.flags.writeable = False

    def close(self) -> None:
        """Close the file and let go of what is held of it."""
        with self.lock:
            if self.held is not None and self._buffer is not None:
                self._buffer.take_back(self.held)
            self.held = self._buffer = None
            self.images.clear()
            if self.hdus is not None:
                self.hdus.close()
                self.hdus = None
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None


class RawImage:
    """A raw frame whose pixels are read by rows: those of its one image plane, or of the first of several.

    Use as a context manager, or `close` when done. Integers of 16 bits in a plain FITS file are read as they are
    stored, without the detour over a library; compressed tiles are decompressed once each when rows are read in order.

    Parameters
    ----------
    path : Path
    plane : (RawHeader, RawFile), optional
        One of the `planes` of a frame, and the file that they share.

    Raises
    ------
    FrameRejectedError
        If the file cannot be used, here or when its pixels turn out to be unreadable.
    """

    def __init__(self, path: Path, plane: tuple[RawHeader, RawFile] | None = None) -> None:
        self.path = path
        self.header, self._file = plane or (read_header(path), RawFile(path))

    @cached_property
    def planes(self) -> tuple[RawImage, ...]:
        """All image planes of the file, in its order; they are open, held and closed together."""
        return self, *(RawImage(self.path, (header, self._file)) for header in self.header.planes[1:])

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns as read out."""
        return self.header.shape

    @cached_property
    def zero(self) -> int | None:
        """What is added to stored integers of 16 bits or less to give ADU: 0 or 32768; None for other numbers."""
        if self._number("BSCALE", 1) != 1 or self.header.value("BLANK") is not None:
            return None
        zeros = {8: (0,), 16: (0, UNSIGNED)}.get(self._bits, ())
        zero = self._number("BZERO", 0)
        return int(zero) if zero in zeros else None

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

    def __enter__(self) -> RawImage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and let go of what is held of it; reading rows opens it again."""
        self._file.close()

    def hold(self, buffer: Buffer | None = None) -> None:
        """Read the file once and keep it in memory until it is closed: pixels and `digest` come from there.

        Parameters
        ----------
        buffer : Buffer, optional
            Memory to be used again, for frames that are held one after the other.

        Raises
        ------
        FrameRejectedError, OSError
            As for `rows`.
        """
        if self._file.held is not None:
            return
        try:
            self._file.hold(buffer)
            for plane in self.planes:
                if not plane._data_start:
                    image = plane.rows(0, plane.shape[0])
                    image.flags.writeable = False
                    self._file.images[plane.header] = image
        except OSError as error:
            self.close()
            raise self._unreadable(error) from error
        except FrameRejectedError:
            self.close()
            raise

    @contextmanager
    def held(self, buffer: Buffer | None = None) -> Iterator[RawImage]:
        """Hold the file in memory while the block lasts; parameters and errors as for `hold`."""
        self.hold(buffer)
        try:
            yield self
        finally:
            self.close()

    def words(self, start: int, stop: int, out: NDArray[np.uint16] | None = None) -> NDArray[np.uint16]:
        """Rows as integers of 16 bits, signed and big-endian, as FITS stores them; add `zero`, which must not be None.

        Parameters
        ----------
        start, stop : int
            0-based, half-open, of the image as read out.
        out : ndarray of uint16, shape (stop - start, nx), C-contiguous, optional
            Filled instead of a new array.

        Returns
        -------
        ndarray of uint16, shape (stop - start, nx)
            Read-only where it is what is held of the file.

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
                    found = os.preadv(self._file.descriptor, [words.data.cast("B")], self._place(start))
            except OSError as error:
                raise self._unreadable(error) from error
            return self._whole(words, found, stop)
        if held is not None and self._data_start:
            stored = held[self._place(start) : self._place(stop)]
            words = self._whole(stored[: stored.nbytes // WORD * WORD].view(np.uint16), stored.nbytes, stop, shape)
        else:
            words = (self.rows(start, stop).astype(np.int32) - (self.zero or 0)).astype(">i2").view(np.uint16)
        if out is None:
            return words
        out[:] = words
        return out

    def _place(self, row: int) -> int:
        """Where a row begins in the file."""
        return self._data_start + row * self.shape[1] * WORD

    def _whole(self, words: NDArray[np.uint16], found: int, stop: int, shape: tuple[int, int] | None = None) -> Any:
        """Words in the shape of rows, if that many bytes were found."""
        wanted = words.shape if shape is None else shape
        if found != wanted[0] * wanted[1] * WORD:
            raise FrameRejectedError(f"its pixels end before row {stop}")
        return words.reshape(wanted)

    def rows(self, start: int, stop: int) -> NDArray[np.generic]:
        """Rows ``start`` to ``stop`` in ADU, in the data type of the file, native byte order.

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
            If the fault is the machine's and not the file's, as with too many open files.
        """
        image = self._file.images.get(self.header)
        if image is not None:
            return image[start:stop]
        if self._data_start:
            return self._native(self.words(start, stop))
        rows = self._section(start, stop)
        if rows.shape != (stop - start, self.shape[1]):
            raise FrameRejectedError(f"its pixels end before row {stop}")
        return rows.astype(rows.dtype.newbyteorder("="), copy=False)

    def read(self) -> NDArray[np.generic]:
        """Read the whole image."""
        return self.rows(0, self.shape[0])

    @property
    def largest(self) -> float:
        """Largest value [ADU] that the file's integers can hold; infinity for floats."""
        bits = self._bits
        if bits < 0:
            return float("inf")
        ends = (0, 255) if bits == 8 else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        return max(end * self._number("BSCALE", 1) for end in ends) + self._number("BZERO", 0)

    @cached_property
    def _data_start(self) -> int:
        """Where words can be read straight from the file; 0 if they cannot."""
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
                raise self._unreadable(error) from error

    def _native(self, words: NDArray[np.uint16]) -> NDArray[np.generic]:
        native = words.byteswap()
        if self.zero:
            native ^= np.uint16(UNSIGNED)
            return native
        return native.view(np.int16)

    def _section(self, start: int, stop: int) -> NDArray[np.generic]:
        with self._file.lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                if self._file.hdus is None:
                    self._file.hdus = fits.open(self.path, memmap=False)
                hdu = self._file.hdus[self.header.hdu]
                planes = (*(0,) * (hdu.header["NAXIS"] - 3), self.header.plane)[: hdu.header["NAXIS"] - 2]
                return np.asarray(hdu.section[(*planes, slice(start, stop), slice(None))])
            except (*UNREADABLE, RuntimeError) as error:
                raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> FrameRejectedError:
        blame_machine(error)
        return FrameRejectedError(f"its pixels cannot be read ({type(error).__name__}: {str(error)[:80]})")


def _digits(content: NDArray[np.uint8]) -> str:
    return hashlib.sha256(content.data).hexdigest()[:HASH_DIGITS]
