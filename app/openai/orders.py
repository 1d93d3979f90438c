"""What OpenAI's API calls the fields of a request, and what it may answer with."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from litestar.openapi.spec import OpenAPIType, Schema

from app.services import order_form
from app.services.order_form import LONGEST_PROMPT, Context, Field, flag_of, text_of
from storage.errors import Invalid
from storage.records import Task

FILE, MODEL = "file", "model"
MOST_KEYWORDS = 100
_OPENAI_MODEL = re.compile(r"whisper-1|gpt-[\w.-]*transcribe[\w.-]*")
_TEXT = OpenAPIType.STRING


class Format(StrEnum):
    JSON = "json"
    TEXT = "text"
    SRT = "srt"
    VERBOSE_JSON = "verbose_json"
    VTT = "vtt"
    DIARIZED_JSON = "diarized_json"

    @property
    def is_json(self) -> bool:
        return self.value.endswith("json")


@dataclass(frozen=True)
class Wanted:
    """What the answer is to have."""

    format: Format = Format.JSON
    stream: bool = False
    granularities: tuple[str, ...] = ()
    include: tuple[str, ...] = ()

    @property
    def words(self) -> bool:
        return "word" in self.granularities

    @property
    def segments(self) -> bool:
        return "segment" in self.granularities or not self.granularities

    @property
    def logprobs(self) -> bool:
        return "logprobs" in self.include


def means_default(model: str) -> bool:
    """Whether this is a model of OpenAI's: its clients ask for one, whatever the server has."""
    return _OPENAI_MODEL.fullmatch(model) is not None


def _one_of(attribute: str, *choices: str) -> order_form.Parse:
    """As `order_form.choice`, for each item of a list."""
    parse = order_form.choice(attribute, *choices)
    return lambda label, value, context: {attribute: (parse(label, value, context)[attribute],)}


def _temperature(label: str, value: object, _: Context) -> dict[str, Any]:
    try:
        number = float(str(value))
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise Invalid(f"{label} must be a number from 0 to 1")
    return {}


FIELDS: dict[str, Field] = {
    MODEL: Field(
        lambda label, value, _: {"model": text_of(label, value)},
        Schema(type=_TEXT, description="whisper-1 or another of OpenAI's: the server's own"),
    ),
    "language": order_form.LANGUAGE_OR_NAME,
    "languages": order_form.LANGUAGES_SPOKEN,
    "prompt": order_form.PROMPT,
    "keywords": Field(
        lambda label, value, _: {"keywords": (text_of(label, value),)},
        Schema(
            type=OpenAPIType.ARRAY,
            items=Schema(type=_TEXT),
            description="Names and words to expect; they are added to the prompt",
        ),
        most_items=MOST_KEYWORDS,
    ),
    "response_format": Field(
        order_form.choice("format", *Format),
        Schema(
            type=_TEXT,
            enum=[*Format],
            default=Format.JSON,
            description="verbose_json has segments and words, diarized_json speakers",
        ),
    ),
    "timestamp_granularities": Field(
        _one_of("granularities", "word", "segment"),
        Schema(
            type=OpenAPIType.ARRAY,
            items=Schema(type=_TEXT, enum=["word", "segment"]),
            description="What verbose_json has; segment if nothing is said",
        ),
        most_items=2,
    ),
    "include": Field(
        _one_of("include", "logprobs"),
        Schema(
            type=OpenAPIType.ARRAY,
            items=Schema(type=_TEXT, enum=["logprobs"]),
            description="The probability of each word",
        ),
        most_items=1,
    ),
    "stream": Field(
        lambda label, value, _: {"stream": flag_of(label, value)},
        Schema(type=OpenAPIType.BOOLEAN, default=False, description="As server-sent events"),
    ),
    "quality": order_form.QUALITY,
    "temperature": Field(
        _temperature,
        Schema(type=OpenAPIType.NUMBER, description="Accepted; the server has its own way"),
    ),
}


def split(
    values: Mapping[str, Any], task: Task, default_model: bool
) -> tuple[Wanted, dict[str, Any]]:
    """The form's values as what the answer is to have, and what the order says.

    ``default_model``: whether the model that was asked for stands for the server's own.

    Raises:
        Invalid: the prompt with its keywords is too long.
    """
    order = dict(values)
    wanted = Wanted(
        format=Format(order.pop("format", Format.JSON)),
        stream=order.pop("stream", False),
        granularities=order.pop("granularities", ()),
        include=order.pop("include", ()),
    )
    if default_model:
        order.pop("model", None)
    prompt = ", ".join(filter(None, (order.get("prompt"), *order.pop("keywords", ()))))
    if len(prompt) > LONGEST_PROMPT:
        raise Invalid(f"prompt and keywords are longer than {LONGEST_PROMPT} characters together")
    diarized = wanted.format is Format.DIARIZED_JSON
    order |= {
        "task": task,
        "prompt": prompt or None,
        "word_timestamps": wanted.words or wanted.logprobs or diarized,
        "speakers": diarized,
    }
    return wanted, order
