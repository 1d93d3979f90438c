"""Small request bodies, read whole."""

from typing import Any, TypeVar
from urllib.parse import parse_qsl

import anyio
import msgspec
from litestar import Request

from app.http.refusals import TooSlow, Unprocessable
from app.http.uploads import STALLED_S

T = TypeVar("T")
LONGEST_BODY = 256 << 10


async def read_json(request: Request[Any, Any, Any], kind: type[T]) -> T:
    """A small body as the document that the route wants; an empty one is a document without fields.

    Raises:
        Unprocessable: it is something else; the sentence says what.
    """
    try:
        return msgspec.json.decode(await _read(request) or b"{}", type=kind)
    except msgspec.DecodeError as error:
        raise Unprocessable({"request": [str(error)]}) from None


async def read_fields(request: Request[Any, Any, Any], is_form: bool) -> list[tuple[str, object]]:
    """The fields of a JSON object, or of an urlencoded form.

    Raises:
        Unprocessable: the body is neither, or too long.
        TooSlow: it did not come in time.
    """
    body = await _read(request)
    if is_form:
        return list(parse_qsl(body.decode("utf-8", "replace")))
    try:
        return list(msgspec.json.decode(body or b"{}", type=dict[str, Any]).items())
    except msgspec.DecodeError:
        raise Unprocessable({"request": ["The body is not a JSON object."]}) from None


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
