"""``python -m tests.actors.media.mutations FORMAT FOLDER``: decodes files with random damage.

A process of its own, since a decoder that crashes takes its process with it. Prints how many of
them were decoded, and how many were refused; anything else is an error.
"""

import json
import random
import sys
from collections import Counter
from pathlib import Path

from actors.media.decode_child import LONGEST_S, limit_process
from actors.media.decoder import Decoder, Refused
from storage.records import RATE, SAMPLE_BYTES
from tests.actors.media.recordings import encoded
from tests.audio import babble

COUNT = 200
CODECS = {
    "wav": "pcm_s16le", "mp3": "libmp3lame", "m4a": "aac", "ogg": "libopus", "flac": "flac",
    "mkv": "libopus",
}  # fmt: skip


def main(name: str, folder: Path) -> None:
    limit_process()
    whole = encoded(
        folder / f"whole.{name}", CODECS[name], babble((3.0, True)), tags={"title": "A"}
    )
    rng = random.Random(name)
    outcomes: Counter[str] = Counter()
    for _ in range(COUNT):
        path = folder / f"a.{name}"
        path.write_bytes(damaged(whole.read_bytes(), rng))
        outcomes[outcome(path)] += 1
    print(json.dumps(outcomes))


def damaged(data: bytes, rng: random.Random) -> bytes:
    """``data`` with bytes changed, cut out, repeated or missing at its end."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 3, 10, 100))):
        # Half of the damage is in the header, where it does most.
        at = rng.randrange(min(len(found), 400) if rng.random() < 0.5 else len(found))
        match rng.randrange(4):
            case 0 | 1:
                found[at] = rng.randrange(256)
            case 2:
                found[at : at + rng.randrange(1, 50)] = b""
            case 3:
                found[at:at] = found[at : at + rng.randrange(1, 50)]
        if len(found) < 100:
            break
    return bytes(found[: rng.randrange(100, len(found) + 1)] if rng.random() < 0.2 else found)


def outcome(path: Path) -> str:
    size = 0
    try:
        for block in Decoder(str(path)).blocks():
            size += len(block)
            assert size < LONGEST_S * RATE * SAMPLE_BYTES
    except Refused as refused:
        return "refused" if str(refused) else "refused without a word"
    return "decoded" if size else "empty"


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
