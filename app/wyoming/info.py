"""What the server says of itself to a client that asks."""

from collections.abc import Iterator
from importlib import metadata

from wyoming.info import AsrModel, AsrProgram, Attribution, Info

from actors.engine.languages import LANGUAGES
from actors.models.catalogue import Catalogue
from actors.models.sources import knows_only_english

_WHISPER = Attribution("OpenAI", "https://github.com/openai/whisper")
_US = Attribution("Whisperbox", "")


def info(catalogue: Catalogue) -> Info:
    """The models that are on this server, the default first."""
    program = AsrProgram(
        name="whisperbox",
        attribution=_US,
        installed=True,
        description="Speech to text on your own box",
        version=metadata.version("whisperbox"),
        models=list(_models(catalogue)),
        supports_transcript_streaming=True,
    )
    return Info(asr=[program])


def _models(catalogue: Catalogue) -> Iterator[AsrModel]:
    for name in catalogue.offered():
        yield AsrModel(
            name=name,
            attribution=_WHISPER,
            installed=True,
            description=name,
            version=None,
            languages=["en"] if knows_only_english(name) else list(LANGUAGES),
        )
