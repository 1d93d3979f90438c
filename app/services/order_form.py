"""The one order form: what can be asked for, whatever the surface calls its fields.

A surface says which of its field names means which `Field`. The form parses the values as they
come, collects a sentence for each that is wrong, and gives OpenAPI the schemas.

Example: ``OrderForm({"task": TASK, "callback_url": CALLBACK_URL}, catalogue, policy)``
"""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from litestar.openapi.spec import OpenAPIFormat, OpenAPIType, Schema

from actors.engine.languages import LANGUAGES
from actors.models.catalogue import Catalogue
from actors.models.sources import knows_only_english
from actors.net.address_policy import AddressPolicy, Forbidden, check_url, host_of
from storage.errors import Invalid
from storage.records import Quality, Task

LONGEST_TEXT = 2048
"""Characters of a field that has no limit of its own."""
MOST_TRANSLATIONS = 20
_LIST_ITEM = re.compile(r"\[\d*\]$")
_YES, _NO = ("true", "1", "on", "yes"), ("false", "0", "off", "no")


@dataclass(frozen=True)
class Context:
    """What parsing a value may need to know of the server."""

    catalogue: Catalogue
    fetches: AddressPolicy


Parse = Callable[[str, object, Context], Mapping[str, Any]]
"""From a field's name, as the client knows it, and its value to attributes of
`storage.records.Order`. Raises Invalid with a sentence that begins with the name."""


@dataclass(frozen=True)
class Field:
    """One thing that an order can say."""

    parse: Parse
    schema: Schema
    most_items: int | None = None
    """Of a list; None: it is a single value."""


class OrderForm:
    def __init__(
        self,
        fields: Mapping[str, Field],
        context: Context,
        *,
        labels: Mapping[str, str] | None = None,
        repeats: bool = True,
    ) -> None:
        """``labels``: what the sentences call a field, where not by its name; ``repeats``: whether
        the last value counts if a field comes more than once, else that is an error."""
        self._repeats = repeats
        self._fields, self._context, self._labels = fields, context, labels or {}
        self.values: dict[str, Any] = {}
        """Fields of `storage.records.Order`, as far as they were given and are right."""
        self.typed: dict[str, str] = {}
        """The texts as given, for a page that shows the form again."""
        self.errors: defaultdict[str, list[str]] = defaultdict(list)

    def take(self, name: str, value: object) -> None:
        """A field, or one item of a list. Unknown and empty ones are ignored."""
        name = _LIST_ITEM.sub("", name)
        known = self._fields.get(name)
        if known and not known.most_items and not self._repeats and name in self.typed:
            self.errors[name].append(f"{self._labels.get(name, name)} is given more than once")
            return
        if isinstance(value, str):
            self.typed[name] = value
        if known is None:
            return
        items = value if known.most_items and isinstance(value, list) else [value]
        for item in items:
            if item is not None and not (isinstance(item, str) and not item.strip()):
                self._parse(known, name, item)

    def check_together(self) -> None:
        """Check what only all fields together show; call it when all have been taken."""
        spoken = self.values.get("languages", ())
        if len(spoken) == 1 and self.values.get("language") is None:
            self.values["language"] = spoken[0]
        model = self._context.catalogue.resolve(self.values.get("model"))
        if not knows_only_english(model):
            return
        for name, fits in (("language", (None, "en")), ("task", (None, Task.TRANSCRIBE))):
            if (value := self.values.get(name)) not in fits:
                label = self._labels.get(name, name)
                self.errors[name].append(
                    f"{label} '{value}' needs another model: '{model}' knows only English"
                )
        if len(spoken) > 1 and "language" not in self.values and "en" not in spoken:
            self.errors["languages"].append(
                f"these languages need another model: '{model}' knows only English"
            )

    def _parse(self, known: Field, name: str, value: object) -> None:
        try:
            found = known.parse(self._labels.get(name, name), value, self._context)
            if known.most_items:
                found = {
                    key: self._joined(name, key, items, known.most_items)
                    for key, items in found.items()
                }
        except Invalid as refusal:
            self.errors[name].append(refusal.message)
        else:
            self.values.update(found)

    def _joined(self, name: str, key: str, items: tuple[str, ...], most: int) -> tuple[str, ...]:
        """``items`` after those of the same list that came before, each once."""
        joined = tuple(dict.fromkeys((*self.values.get(key, ()), *items)))
        if len(joined) > most:
            raise Invalid(f"{self._labels.get(name, name)} has more than {most} entries")
        return joined


def schemas(fields: Mapping[str, Field]) -> dict[str, Schema]:
    """For OpenAPI, by the surface's names."""
    return {name: each.schema for name, each in fields.items()}


def text_of(label: str, value: object, longest: int = LONGEST_TEXT) -> str:
    """
    Raises:
        Invalid: it is not text, or too long.
    """
    if not isinstance(value, str):
        raise Invalid(f"{label} must be text")
    value = value.strip()
    if len(value) > longest:
        raise Invalid(f"{label} is longer than {longest} characters")
    return value


def flag_of(label: str, value: object) -> bool:
    """
    Raises:
        Invalid: it is neither true nor false.
    """
    word = str(value).strip().lower()
    if word not in (*_YES, *_NO):
        raise Invalid(f"{label} must be 'true' or 'false'")
    return word in _YES


def number_of(label: str, value: object, most: int) -> int:
    """
    Raises:
        Invalid: it is no whole number from 1 to ``most``.
    """
    digits = str(value).strip()
    if not (digits.isascii() and digits.isdecimal() and 1 <= int(digits[:9]) <= most):
        raise Invalid(f"{label} must be a whole number from 1 to {most}")
    return int(digits)


def language_of(label: str, value: object) -> str:
    """
    Raises:
        Invalid: it is not an ISO 639-1 code of a language that Whisper knows.
    """
    code = text_of(label, value).lower()
    if code not in LANGUAGES:
        raise Invalid(f"{label} '{code[:40]}' is not a code that Whisper knows")
    return code


def _language(label: str, value: object, _: Context) -> dict[str, Any]:
    if text_of(label, value).lower() == "auto":
        return {"language": None}
    return {"language": language_of(label, value)}


def without_region(text: str) -> str:
    """``de`` for ``de-CH`` and for ``de_CH``, in small letters."""
    return text.lower().replace("_", "-").partition("-")[0]


def _code(text: str) -> str:
    """``de`` for ``German`` and for ``de-CH``; what is neither as it is."""
    named = {name.lower(): code for code, name in LANGUAGES.items()}
    return named.get(text.lower()) or without_region(text)


def _task(label: str, value: object, _: Context) -> dict[str, Any]:
    task = text_of(label, value)
    if task not in tuple(Task):
        raise Invalid(f"{label} must be 'transcribe' or 'translate'")
    return {"task": Task(task)}


def _quality(label: str, value: object, _: Context) -> dict[str, Any]:
    quality = text_of(label, value)
    if quality not in tuple(Quality):
        raise Invalid(f"{label} must be 'fast', 'balanced' or 'best'")
    return {"quality": Quality(quality)}


def _model(label: str, value: object, context: Context) -> dict[str, Any]:
    name, catalogue = text_of(label, value), context.catalogue
    if not catalogue.may_be_requested(name):
        raise Invalid(no_such_model(catalogue, name))
    return {"model": name}


def _source_url(label: str, value: object, context: Context) -> dict[str, Any]:
    url = check_url(text_of(label, value), label)
    try:
        context.fetches.check_literal(host_of(url))
    except Forbidden:
        raise Invalid(
            f"{label} has an address of a private network, which this server does not fetch from"
        ) from None
    return {"source_url": url}


def no_such_model(catalogue: Catalogue, name: str) -> str:
    there = ", ".join(catalogue.offered())
    return f"there is no model '{name[:80]}' on this server, which has {there}"


def choice(attribute: str, *choices: str) -> Parse:
    """Of a field that has one of these values."""

    def parse(label: str, value: object, _: Context) -> dict[str, Any]:
        text = text_of(label, value)
        if text not in choices:
            raise Invalid(f"{label} '{text[:40]}' is unknown; it may be {', '.join(choices)}")
        return {attribute: text}

    return parse


def _text(attribute: str, longest: int) -> Parse:
    return lambda label, value, _: {attribute: text_of(label, value, longest)}


_TEXT, _FLAG = OpenAPIType.STRING, OpenAPIType.BOOLEAN
LONGEST_LABEL, LONGEST_NOTE, LONGEST_PROMPT = 255, 5000, 2000
MOST_TRACKS = 99

LANGUAGE = Field(
    _language, Schema(type=_TEXT, description="ISO 639-1; omit, or auto, to have it detected")
)
LANGUAGE_OR_NAME = Field(
    lambda label, value, context: _language(label, _code(text_of(label, value)), context),
    Schema(
        type=_TEXT, description="ISO 639-1 or an English name; omit, or auto, to have it detected"
    ),
)
LANGUAGES_SPOKEN = Field(
    lambda label, value, _: {"languages": (language_of(label, value),)},
    Schema(
        type=OpenAPIType.ARRAY,
        items=Schema(type=_TEXT),
        description="ISO 639-1; those that may be spoken, where the language is detected",
    ),
    most_items=len(LANGUAGES),
)
TASK = Field(_task, Schema(type=_TEXT, enum=[*Task], default=Task.TRANSCRIBE))
MODEL = Field(_model, Schema(type=_TEXT, description="A model's name; omit for the server's"))
PROMPT = Field(
    _text("prompt", LONGEST_PROMPT),
    Schema(type=_TEXT, max_length=LONGEST_PROMPT, description="Names and words to expect"),
)
WORD_TIMESTAMPS = Field(
    lambda label, value, _: {"word_timestamps": flag_of(label, value)},
    Schema(type=_FLAG, default=False, description="Whether each word gets its times"),
)
AUDIO_TRACK = Field(
    lambda label, value, _: {"audio_track": number_of(label, value, MOST_TRACKS)},
    Schema(
        type=OpenAPIType.INTEGER,
        minimum=1,
        maximum=MOST_TRACKS,
        description="Which audio track of the file; omit for its default",
    ),
)
VAD = Field(
    lambda label, value, _: {"vad": flag_of(label, value)},
    Schema(
        type=_FLAG,
        default=True,
        description="Whether sound in which nobody speaks is left out; off for singing",
    ),
)
QUALITY = Field(
    _quality,
    Schema(
        type=_TEXT,
        enum=[*Quality],
        default=Quality.BALANCED,
        description="fast, or as few wrong words as possible; balanced is between them",
    ),
)
SOURCE_URL = Field(
    _source_url,
    Schema(type=_TEXT, format=OpenAPIFormat.URI, description="A recording, or a page that has one"),
)
LABEL = Field(
    _text("label", LONGEST_LABEL),
    Schema(type=_TEXT, max_length=LONGEST_LABEL, description="What people call it"),
)
NOTE = Field(_text("note", LONGEST_NOTE), Schema(type=_TEXT, max_length=LONGEST_NOTE))
ANALYSIS_LANGUAGE = Field(
    lambda label, value, _: {"analysis_language": language_of(label, value)},
    Schema(type=_TEXT, description="ISO 639-1"),
)
TRANSLATIONS = Field(
    lambda label, value, _: {"translations": (language_of(label, value),)},
    Schema(
        type=OpenAPIType.ARRAY,
        items=Schema(type=_TEXT),
        max_items=MOST_TRANSLATIONS,
        description="ISO 639-1",
    ),
    most_items=MOST_TRANSLATIONS,
)
NO_DIARIZATION = Field(
    lambda label, value, _: {"speakers": not flag_of(label, value)},
    Schema(type=_FLAG, default=False, description="Whether to leave out telling speakers apart"),
)


def webhook(format_: str, about: str, *, model_events: bool = False) -> Field:
    """Who is told of the job's end, in which body; and of the model, where ``model_events``."""

    def parse(label: str, value: object, _: Context) -> dict[str, Any]:
        url = check_url(text_of(label, value), label)
        return {"webhook_url": url, "webhook_format": format_, "model_events": model_events}

    return Field(parse, Schema(type=_TEXT, format=OpenAPIFormat.URI, description=about))
