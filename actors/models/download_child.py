"""The download child: ``python -m actors.models.download_child PATH``. PATH is the model's file.

Prints one JSON object on each line: ``{"done": bytes, "total": bytes}`` while it runs, then
``{"path": …}`` or ``{"error": …, "certain": bool}``; ``certain`` means that trying again cannot
help. It is a child process because the hub's library takes as much memory as the rest of the
server, and because a download can be stopped only by killing its process.
"""

import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from huggingface_hub import get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, RepositoryNotFoundError
from huggingface_hub.file_download import http_get
from tqdm import tqdm

from actors.models.catalogue import SPEAKERS, Source, source
from actors.models.weights import inspect
from storage.errors import Invalid

EVERY_S = 0.5


class Progress(tqdm):  # type: ignore[type-arg]  # generic in its stubs alone
    """The hub library's progress bar, which prints JSON lines for the server instead."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["disable"] = False
        kwargs["file"] = open("/dev/null", "w")  # noqa: SIM115
        super().__init__(*args, **kwargs)
        self._said = 0.0

    def update(self, n: float | None = 1) -> bool | None:
        shown: bool | None = super().update(n)
        if self.total and (time.monotonic() - self._said > EVERY_S or self.n >= self.total):
            self._said = time.monotonic()
            say(done=int(self.n), total=int(self.total))
        return shown


def main(path: Path) -> int:
    wanted = source(path)
    part = path.with_name(f".{path.name}.part")
    try:
        download(wanted, part)
        part.rename(path)
    except (EntryNotFoundError, RepositoryNotFoundError, GatedRepoError) as error:
        say(error=f"the hub refuses {wanted.file}: {_short(error)}", certain=True)
        return 1
    except Invalid as error:
        part.unlink()
        say(error=error.message, certain=True)
        return 1
    except Exception as error:
        say(error=_by_hand(path, wanted, error), certain=False)
        return 1
    say(path=str(path))
    return 0


def download(wanted: Source, part: Path) -> None:
    """Download the file to ``part``; continue if an earlier download has left a part of it.

    This uses the hub library's transfer function and not `hf_hub_download`, because since version 2
    that function begins again from the start in every process.

    Raises:
        Invalid: the downloaded file has a wrong checksum, or is not a model.
    """
    found = get_hf_file_metadata(hf_hub_url(wanted.repository, wanted.file))
    if found.size is not None and part.exists() and part.stat().st_size > found.size:
        part.unlink()
    with part.open("ab") as out:
        http_get(
            found.location, out, resume_size=out.tell(), expected_size=found.size,
            tqdm_class=Progress,
        )  # fmt: skip
    # The etag of a large file is its sha256.
    expected = wanted.sha256 or found.etag
    if expected is not None and len(expected) == 64 and sha256(part) != expected:
        raise Invalid(f"the download of {wanted.file} has a wrong sha256: it was removed")
    if wanted.sha256 is None:
        inspect(part)


def _by_hand(path: Path, wanted: Source, error: Exception) -> str:
    failed = f"could not download {wanted.file} ({_short(error)}). Without a network:"
    there = f"put {wanted.file} of the repository {wanted.repository}"
    if path.parent.name == SPEAKERS:
        return f"{failed} {there} into WHISPER_MODELS_DIR as {SPEAKERS}/{path.name}"
    return f"{failed} {there} into WHISPER_MODELS_DIR, or set WHISPER_MODEL_PATH to a ggml file"


def _short(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
