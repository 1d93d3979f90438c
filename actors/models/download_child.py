"""The download child: ``python -m actors.models.download_child PATH``.

PATH is the place of the model, and its name says which one is wanted: a file of ggml, or a folder
for CTranslate2.

Prints one JSON object on each line: ``{"done": bytes, "total": bytes}`` while it runs, then
``{"path": …}`` or ``{"error": …, "certain": bool}``; ``certain`` means that trying again cannot
help. It is a child process because the hub's library takes as much memory as the rest of the
server, and because a download can be stopped only by killing its process.
"""

import hashlib
import json
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from huggingface_hub import get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, RepositoryNotFoundError
from huggingface_hub.file_download import HfFileMetadata, http_get
from tqdm import tqdm

from actors.models.sources import SPEAKERS, Source, source_of
from actors.models.weights import inspect
from storage.errors import Invalid

EVERY_S = 0.5


class Progress(tqdm):  # type: ignore[type-arg]  # generic in its stubs alone
    """The hub library's progress bar, which prints JSON lines for the server instead."""

    before, whole = 0, 0
    """Bytes of the files before this one, and of all files. The library makes the bar, so that its
    constructor cannot be given them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["disable"] = False
        kwargs["file"] = open("/dev/null", "w")  # noqa: SIM115
        super().__init__(*args, **kwargs)
        self._said = 0.0

    def update(self, n: float | None = 1) -> bool | None:
        shown: bool | None = super().update(n)
        if self.whole and (time.monotonic() - self._said > EVERY_S or self.n >= (self.total or 0)):
            self._said = time.monotonic()
            say(done=self.before + int(self.n), total=self.whole)
        return shown


def main(path: Path) -> int:
    wanted = source_of(path)
    part = path.with_name(f".{path.name}.part")
    try:
        download(wanted, part)
        part.rename(path)
    except (EntryNotFoundError, RepositoryNotFoundError, GatedRepoError) as error:
        say(error=f"the hub refuses {path.name}: {_short(error)}", certain=True)
        return 1
    except Invalid as error:
        _remove(part)
        say(error=error.message, certain=True)
        return 1
    except Exception as error:
        say(error=_by_hand(path, wanted, error), certain=False)
        return 1
    say(path=str(path))
    return 0


def download(wanted: Source, part: Path) -> None:
    """Download the model to ``part``; continue if an earlier download has left a part of it.

    Raises:
        Invalid: a downloaded file has a wrong checksum, or it is not a model.
    """
    found = {
        name: get_hf_file_metadata(hf_hub_url(wanted.repository, name)) for name in wanted.files
    }
    for name in wanted.optional:
        with suppress(EntryNotFoundError):
            found[name] = get_hf_file_metadata(hf_hub_url(wanted.repository, name))
    Progress.whole = sum(each.size or 0 for each in found.values())
    if wanted.is_folder:
        part.mkdir(exist_ok=True)
    for name, metadata in found.items():
        _fetch(name, metadata, part / name if wanted.is_folder else part, wanted.sha256)
        Progress.before += metadata.size or 0
    if wanted.sha256 is None:
        inspect(part)


def _fetch(name: str, found: HfFileMetadata, part: Path, sha256: str | None) -> None:
    """Download one file, or the rest of it.

    This uses the hub library's transfer function and not `hf_hub_download`, because since version 2
    that function begins again from the start in every process.
    """
    if found.size is not None and part.exists() and part.stat().st_size > found.size:
        part.unlink()
    with part.open("ab") as out:
        if out.tell() != found.size:
            http_get(
                found.location, out, resume_size=out.tell(), expected_size=found.size,
                tqdm_class=Progress,
            )  # fmt: skip
    # The etag of a large file is its sha256.
    expected = sha256 or found.etag
    if expected is not None and len(expected) == 64 and digest(part) != expected:
        raise Invalid(f"the download of {name} has a wrong sha256: it was removed")


def _remove(part: Path) -> None:
    if part.is_dir():
        shutil.rmtree(part)
    else:
        part.unlink()


def _by_hand(path: Path, wanted: Source, error: Exception) -> str:
    failed = f"could not download {path.name} ({_short(error)}). Without a network:"
    if path.parent.name == SPEAKERS:
        there = f"put {wanted.files[0]} of the repository {wanted.repository}"
        return f"{failed} {there} into WHISPER_MODELS_DIR as {SPEAKERS}/{path.name}"
    if wanted.is_folder:
        there = f"put the files of the repository {wanted.repository}"
        return (
            f"{failed} {there} into WHISPER_MODELS_DIR/{path.name}, or set WHISPER_MODEL_PATH to a "
            "folder for CTranslate2 or a ggml file"
        )
    there = f"put {wanted.files[0]} of the repository {wanted.repository}"
    return f"{failed} {there} into WHISPER_MODELS_DIR, or set WHISPER_MODEL_PATH to a ggml file"


def _short(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
