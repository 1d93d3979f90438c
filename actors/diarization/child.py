"""The speakers child: ``python -m actors.diarization.child FILE MODELS MOST THREADS [TRACK]``.

Finds the speaker turns of a recording, of at most MOST speakers, and prints one JSON line:
``{"provider": "channels", "turns": [[start, end, label], …]}`` with times in seconds, or
``{"unavailable": sentence}``. A call that has one speaker on each channel needs no models. Other
recordings need the voice models in the folder MODELS.
"""

import sys
from pathlib import Path

import msgspec

from actors.diarization import channels, voices
from actors.diarization.process import Diarization
from actors.media.decode_child import Recording, limit_process

NO_CALL = "the recording does not have one speaker on each channel"


def main(path: str, models: str, most: str, threads: str, track: str | None = None) -> int:
    limit_process(cpu_s=None)  # the server that started this child limits its time
    recording = Recording(path, None if track is None else int(track))
    found = find(recording, Path(models), int(most), int(threads))
    sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
    return 0


def find(recording: Recording, models: Path, most: int, threads: int) -> Diarization:
    if (by_channel := channels.find(recording)) is not None:
        return by_channel
    if not voices.installed():
        return Diarization(
            unavailable=f"{NO_CALL}, and this server cannot tell voices apart: the extra "
            "'diarization' is not installed"
        )
    if not voices.complete(models):
        return Diarization(
            unavailable=f"{NO_CALL}, and the voice models are not there", needs_voice_models=True
        )
    return voices.find(recording, models, most, threads)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
