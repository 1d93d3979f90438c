"""Small request bodies, read whole."""

from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import anyio
import msgspec
from litestar import Request

from app.http.refusals import TooSlow, Unprocessable
from app.http.uploads import STALLED_S
from storage.errors import Invalid

T = TypeVar("T")
NO_OBJECT = "The body is not a JSON object."
LONGEST_BODY = 256 << 10
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are no JSON, no UTF-8, or nested too deeply."""


async def read_json(request: Request[Any, Any, Any], kind: type[T]) -> T:
    """A small body as the document that the route wants; an empty one is a document without fields.

    Raises:
        Unprocessable: it is something else; the sentence says what.
    """
    try:
        return msgspec.json.decode(await _read(request) or b"{}", type=kind)
    except UNREADABLE as error:
        said = str(error) if isinstance(error, msgspec.MsgspecError) else NO_OBJECT
        raise Unprocessable({"request": [said]}) from None


def json_object(body: bytes) -> dict[str, Any]:
    """
    Raises:
        Unprocessable: it is something else.
    """
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except UNREADABLE:
        raise Unprocessable({"request": [NO_OBJECT]}) from None


async def read_form(request: Request[Any, Any, Any]) -> Mapping[str, Any]:
    """The fields of a small form of a page.

    Raises:
        Invalid: it is not text in an encoding that is known.
    """
    try:
        return await request.form()
    except (UnicodeDecodeError, LookupError):
        raise Invalid("The form is not UTF-8 text.") from None


async def read_fields(request: Request[Any, Any, Any], is_form: bool) -> list[tuple[str, object]]:
    """The fields of a JSON object, or of an urlencoded form.

    Raises:
        Unprocessable: the body is neither, or too long.
        TooSlow: it did not come in time.
    """
    body = await _read(request)
    if is_form:
        return list(parse_qsl(body.decode("utf-8", "replace")))
    return list(json_object(body or b"{}").items())


async def _read(request: Request[Any, Any, Any]) -> bytes:
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
