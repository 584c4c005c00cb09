"""Write files atomically: a file that exists is complete."""

from __future__ import annotations

import glob
import os
import tempfile
from pathlib import Path
from types import TracebackType


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically.

    Parameters
    ----------
    path : Path
        Replaced if it exists; its folder is created.
    text : str
        Written as UTF-8.
    """
    with write_atomically(path) as name:
        Path(name).write_text(text, encoding="utf-8", errors="surrogateescape")


class write_atomically:  # noqa: N801 - reads as a verb
    """Provide a temporary file name in a ``with`` block; sync and rename the file if the block ends without error."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> str:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for left_over in self.path.parent.glob(f".{glob.escape(self.path.name)}.*.partial"):
            left_over.unlink(missing_ok=True)
        handle, self.name = tempfile.mkstemp(".partial", f".{self.path.name}.", self.path.parent)
        os.close(handle)
        return self.name

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            Path(self.name).unlink(missing_ok=True)
            return
        umask = os.umask(0)
        os.umask(umask)
        Path(self.name).chmod(0o666 & ~umask)
        for name in (self.name, str(self.path.parent)):
            handle = os.open(name, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)
            if name == self.name:
                os.replace(self.name, self.path)
