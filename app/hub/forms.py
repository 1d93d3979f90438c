"""What a client asks for, from JSON, a form or a multipart body."""

import re
from collections import defaultdict
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import anyio
import msgspec
from litestar import Request
from multipart import parse_options_header

from actors.engine.languages import LANGUAGES
from actors.reach import check_url
from actors.system import Plan
from app.access import API, WEB, Caller
from app.faults import TooLarge, TooSlow, Unprocessable
from app.uploads import STALLED_S, Upload, receive
from storage.blobs import Spool
from storage.errors import Invalid, NoSpace
from storage.records import Order, Permission, Task

T = TypeVar("T")
CALLBACK_FORMAT = "hub"
FILE = "media_file"
LONGEST_BODY = 256 << 10
"""Bytes of a body that carries no file."""
LONGEST = {"source_label": 255, "source_note": 5000, "prompt": 2000}
MOST_TRANSLATIONS = 20
_LIST_ITEM = re.compile(r"\[\d*\]$")
_YES, _NO = ("true", "1", "on", "yes"), ("false", "0", "off", "no", "")


class OrderForm:
    """Collects the fields as they come, and what is wrong with them."""

    def __init__(self, plan: Plan, *, by_token: bool) -> None:
        """``by_token``: a callback is wanted, and a share."""
        self._plan, self._by_token = plan, by_token
        self._seen: dict[str, Any] = {}
        self._typed: dict[str, str] = {}
        self._errors: defaultdict[str, list[str]] = defaultdict(list)

    def take(self, name: str, value: object) -> None:
        """A field, or one item of a list."""
        name = _LIST_ITEM.sub("", name)
        if isinstance(value, str):
            self._typed[name] = value
        if name == "translation_target_languages":
            for each in value if isinstance(value, list) else [value]:
                if each is not None and each != "":
                    self._try(name, self._translation, each)
        elif value is not None and value != "":
            self._try(name, self._field, name, value)

    def file_begins(self) -> None:
        """
        Raises:
            Unprocessable: a field before the file is wrong already.
        """
        if self._errors:
            raise Unprocessable(self._errors, self._typed)
        if "source_url" in self._seen:
            raise _both()

    def order(self, caller: Caller, upload: Upload | None) -> Order:
        """
        Raises:
            Unprocessable: a field is wrong, or one is missing.
        """
        if upload and "source_url" in self._seen:
            raise _both()
        if not upload and "source_url" not in {*self._seen, *self._errors}:
            sentence = "Send a source_url or a media_file."
            self._errors["source_url"].append(sentence)
            self._errors[FILE].append(sentence)
        if self._by_token and "webhook_url" not in self._seen:
            self._errors["callback_url"].append("The callback_url is required.")
        if self._errors:
            raise Unprocessable(self._errors, self._typed)
        seen = {"speakers": True, **self._seen}
        seen["speakers"] &= self._plan.diarization
        return Order(
            **seen,
            assisted=self._plan.provider is not None and caller.account.may(Permission.ASSIST),
            filename=upload.filename if upload else None,
            media_type=upload.media_type if upload else None,
            channel=API if self._by_token else WEB,
            owner=caller.account.number,
            urgent=caller.account.admin,
            shared=self._by_token,
        )

    def _try(self, field: str, take: Callable[..., None], *values: object) -> None:
        try:
            take(*values)
        except Invalid as no:
            self._errors[field].append(no.message)

    def _field(self, name: str, value: object) -> None:
        match name:
            case "source_url":
                self._seen["source_url"] = check_url(_text(name, value), name)
            case "callback_url":
                if self._by_token:
                    self._seen["webhook_url"] = check_url(_text(name, value), name)
                    self._seen["webhook_format"] = CALLBACK_FORMAT
            case "source_label":
                self._seen["label"] = _text(name, value)
            case "source_note":
                self._seen["note"] = _text(name, value)
            case "prompt":
                self._seen["prompt"] = _text(name, value)
            case "model":
                self._seen["model"] = self._model(_text(name, value))
            case "language":
                code = _text(name, value).lower()
                self._seen["language"] = None if code == "auto" else _language(name, code)
            case "analysis_language":
                self._seen["analysis_language"] = _language(name, _text(name, value).lower())
            case "task":
                task = _text(name, value)
                if task not in tuple(Task):
                    raise Invalid("The task must be transcribe or translate.")
                self._seen["task"] = Task(task)
            case "word_timestamps":
                self._seen["word_timestamps"] = _flag(name, value)
            case "disable_diarization":
                self._seen["speakers"] = not _flag(name, value)

    def _model(self, name: str) -> str:
        meant = self._plan.aliases.get(name, name)
        if meant != self._plan.default_model and not self._plan.catalogue.nameable(meant):
            there = {self._plan.default_model, *(m.name for m in self._plan.catalogue.installed())}
            raise Invalid(
                f"There is no model '{name[:80]}' here; there is {', '.join(sorted(there))}."
            )
        return name

    def _translation(self, value: object) -> None:
        name = "translation_target_languages"
        code = _language(name, _text(name, value).lower())
        known: tuple[str, ...] = self._seen.get("translations", ())
        if len(known) >= MOST_TRANSLATIONS:
            raise Invalid(f"At most {MOST_TRANSLATIONS} languages can be asked for.")
        if code not in known:
            self._seen["translations"] = (*known, code)


async def read_order(
    request: Request[Any, Any, Any],
    spool: Spool,
    job_id: str,
    form: OrderForm,
    caller: Caller,
    most_bytes: int | None,
) -> tuple[Order, int | None]:
    """The order, and the size of its file where it came with one, which is in the spool then.

    Raises:
        Unprocessable: with the fields that are wrong.
    """
    kind, _ = parse_options_header(request.headers.get("content-type", ""))
    if kind == "multipart/form-data":
        return await _read_multipart(request, spool, job_id, form, caller, most_bytes)
    body = await _read_small(request)
    fields = parse_qsl(body.decode("utf-8", "replace")) if "form" in kind else _json_fields(body)
    for name, value in fields:
        form.take(name, value)
    return form.order(caller, None), None


async def _read_multipart(
    request: Request[Any, Any, Any],
    spool: Spool,
    job_id: str,
    form: OrderForm,
    caller: Caller,
    most_bytes: int | None,
) -> tuple[Order, int | None]:
    try:
        upload = await receive(
            request,
            spool,
            job_id,
            FILE,
            form.take,
            before_file=form.file_begins,
            most_bytes=most_bytes,
        )
    except (Invalid, TooLarge, TooSlow, NoSpace) as no:
        raise Unprocessable({FILE: [no.message]}) from no
    if upload.found and not upload.size:
        raise Unprocessable({FILE: ["The media_file is empty."]})
    try:
        return form.order(caller, upload if upload.found else None), upload.size or None
    except Unprocessable:
        spool.discard(job_id)
        raise


async def read_json(request: Request[Any, Any, Any], kind: type[T]) -> T:
    """A small body as the document that the route wants; none is one without fields.

    Raises:
        Unprocessable: it is something else; the sentence says what.
    """
    try:
        return msgspec.json.decode(await _read_small(request) or b"{}", type=kind)
    except msgspec.DecodeError as error:
        raise Unprocessable({"request": [str(error)]}) from None


async def _read_small(request: Request[Any, Any, Any]) -> bytes:
    body = bytearray()
    try:
        with anyio.fail_after(STALLED_S):
            async for part in request.stream():
                body += part
                if len(body) > LONGEST_BODY:
                    raise Unprocessable({"request": ["The body is too long."]})
    except TimeoutError:
        raise TooSlow("The body did not come in time.") from None
    return bytes(body)


def _json_fields(body: bytes) -> list[tuple[str, object]]:
    try:
        return list(msgspec.json.decode(body or b"{}", type=dict[str, Any]).items())
    except msgspec.DecodeError:
        raise Unprocessable({"request": ["The body is no JSON object."]}) from None


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise Invalid(f"The {name} must be text.")
    value = value.strip()
    if len(value) > LONGEST.get(name, 2048):
        raise Invalid(f"The {name} is longer than {LONGEST.get(name, 2048)} characters.")
    return value


def _language(name: str, code: str) -> str:
    if code not in LANGUAGES:
        raise Invalid(f"The {name} '{code[:40]}' is no language code that Whisper knows.")
    return code


def _flag(name: str, value: object) -> bool:
    word = str(value).strip().lower()
    if word not in (*_YES, *_NO):
        raise Invalid(f"The {name} must be true or false.")
    return word in _YES


def _both() -> Unprocessable:
    sentence = "Send a source_url or a media_file, not both."
    return Unprocessable({"source_url": [sentence], FILE: [sentence]})
