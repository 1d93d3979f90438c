"""The files of a watched folder. Its functions block: call them in a thread."""

import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from app.services.recordings import ENDINGS

ERROR = "error.txt"


@dataclass(frozen=True)
class Recording:
    path: Path
    folder: Path
    """The watched folder."""
    size: int
    """Bytes."""
    mtime_ns: int
    """When it was changed last, in nanoseconds since the epoch."""
    has_namesake: bool = False
    """Whether another recording in its folder has the same name before the ending."""

    @property
    def name(self) -> str:
        """Its path within the watched folder."""
        return self.path.relative_to(self.folder).as_posix()

    @property
    def stamp(self) -> tuple[int, int]:
        return self.size, self.mtime_ns

    def output(self, output_folder: Path | None, ending: str) -> Path:
        """The file that has its transcript in one format."""
        place = (output_folder or self.folder) / self.name
        stem = place.name if self.has_namesake else place.stem
        return place.with_name(f"{stem}.{ending}")


def recordings(folder: Path) -> list[Recording]:
    """All recordings in a folder and its subfolders, but hidden ones.

    Raises:
        OSError: the folder cannot be read.
    """
    os.scandir(folder).close()  # os.walk is silent about a folder that is not there
    found = [
        each for place, _, names in os.walk(folder) for each in _in(Path(place), names, folder)
    ]
    stems = Counter((each.path.parent, each.path.stem) for each in found)
    return [
        replace(each, has_namesake=stems[each.path.parent, each.path.stem] > 1) for each in found
    ]


def _in(place: Path, names: list[str], folder: Path) -> Iterator[Recording]:
    if any(part.startswith(".") for part in place.relative_to(folder).parts):
        return
    for name in names:
        if name.startswith(".") or Path(name).suffix[1:].lower() not in ENDINGS:
            continue
        try:
            found = (place / name).stat()
        except OSError:  # it has been moved away meanwhile
            continue
        if found.st_size:
            yield Recording(place / name, folder, found.st_size, found.st_mtime_ns)


def copy_unchanged(recording: Recording, target: Path) -> bool:
    """Copy a recording; False if it was changed meanwhile, and then there is no copy.

    Raises:
        OSError: it cannot be read, or the copy not be written; and then there is none, either.
    """
    whole = False
    try:
        shutil.copyfile(recording.path, target)
        now = recording.path.stat()
        whole = (now.st_size, now.st_mtime_ns) == recording.stamp
        return whole
    finally:
        if not whole:
            target.unlink(missing_ok=True)


def write_beside(recording: Recording, path: Path, text: str) -> None:
    """Write a file so that nobody ever sees a part of it. Whoever may read the recording may read
    it, too.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.chmod(recording.path.stat().st_mode & 0o666)
    part.replace(path)


def all_since(files: Iterable[Path], moment: float) -> bool:
    """Whether all these files are there, and were written at that moment or later.

    ``moment``: seconds since the epoch.
    """
    try:
        return all(each.stat().st_mtime >= moment for each in files)
    except OSError:
        return False
