"""What this API calls the parameters of a request."""

from typing import Any

from litestar.openapi.spec import OpenAPIType, Schema

from app.services import order_form
from app.services.order_form import Context, Field, flag_of, number_of, text_of

FILE = "audio_file"
OUTPUTS = ("txt", "vtt", "srt", "tsv", "json")
MOST_SPEAKERS = 99


def _speakers(label: str, value: object, _: Context) -> dict[str, Any]:
    number_of(label, value, MOST_SPEAKERS)
    return {}


_FLAG, _NUMBER, _TEXT = OpenAPIType.BOOLEAN, OpenAPIType.INTEGER, OpenAPIType.STRING
_COUNT = Field(
    _speakers, Schema(type=_NUMBER, minimum=1, description="Accepted; they are counted by ear")
)
_NAME = Field(
    lambda label, value, _: {"filename": text_of(label, value)},
    Schema(type=_TEXT, description="What the recording is called"),
)
ENCODE = Field(
    lambda label, value, _: {"encode": flag_of(label, value)},
    Schema(
        type=_FLAG,
        default=True,
        description="False: the file is samples without a header, s16le at 16 kHz, mono",
    ),
)

DETECTION: dict[str, Field] = {"encode": ENCODE, "video_file": _NAME}
TRANSCRIPTION: dict[str, Field] = {
    **DETECTION,
    "task": order_form.TASK,
    "language": order_form.LANGUAGE_OR_NAME,
    "languages": order_form.LANGUAGES_SPOKEN,
    "initial_prompt": order_form.PROMPT,
    "vad_filter": order_form.VAD,
    "quality": order_form.QUALITY,
    "word_timestamps": order_form.WORD_TIMESTAMPS,
    "diarize": Field(
        lambda label, value, _: {"speakers": flag_of(label, value)},
        Schema(type=_FLAG, default=False, description="Whether to tell speakers apart"),
    ),
    "min_speakers": _COUNT,
    "max_speakers": _COUNT,
    "output": Field(
        order_form.choice("output", *OUTPUTS), Schema(type=_TEXT, enum=[*OUTPUTS], default="txt")
    ),
}
