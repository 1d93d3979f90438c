"""OpenAI's library for Node, for the tests that use it as people do.

``python -m tools.node_sdk`` fetches it once with npm, checks it by its hash, and keeps it in the
user's cache folder.
"""

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tools.real_weights import cached

PACKAGE, VERSION = "openai", "6.49.0"
SHA256 = "e48de0f4c5dbecebdeb864233f5ea49be07cd3e0ff3bd3e1e6745dc5e168cced"
DOWNLOAD_S = 120


def folder() -> Path:
    """Where the library is, or would be: a folder with ``node_modules``."""
    return cached().folder.parent / f"node-{PACKAGE}-{VERSION}"


def fetch() -> None:
    """
    Raises:
        OSError: it cannot be had; the text says why.
    """
    if folder().exists():
        return
    npm = shutil.which("npm")
    if npm is None:
        raise OSError("npm is not installed")
    folder().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder().parent) as name:
        try:
            subprocess.run(
                [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent"],
                cwd=name, check=True, capture_output=True, text=True, timeout=DOWNLOAD_S,
            )  # fmt: skip
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            raise OSError(f"npm could not fetch {PACKAGE}: {error}") from None
        archive = Path(name) / f"{PACKAGE}-{VERSION}.tgz"
        if hashlib.sha256(archive.read_bytes()).hexdigest() != SHA256:
            raise OSError(f"{PACKAGE} {VERSION} has another hash than it should")
        new = Path(name) / "new"
        with tarfile.open(archive) as packed:
            packed.extractall(new / "node_modules", filter="data")
        (new / "node_modules" / "package").rename(new / "node_modules" / PACKAGE)
        new.rename(folder())


if __name__ == "__main__":
    try:
        fetch()
    except OSError as error:
        sys.exit(f"No OpenAI library for Node: {error}")
