"""What the interactive documentation says of errors."""

from typing import Any

from litestar.openapi import ResponseSpec

from app.native.documents import ErrorDocument, NotReadyDocument

JSON = "application/json"
EVENTS = "text/event-stream"
_MEANING = {
    204: "You have the last event already",
    401: "REQUIRE_TOKEN is on, and there is no token that holds",
    403: "REQUIRE_TOKEN is on, and the token or its account may not use this",
    405: "The route has other methods",
    413: "The file is larger than UPLOAD_MAX_MB",
    429: "Too many requests, or the account's share is used up: see Retry-After",
    500: "worker channel closed: what should have answered crashed, and is restarted",
    400: "Something in the request is wrong; the sentence says what",
    404: "There is no such job",
    408: "Less than 1 KiB was received in 30 s",
    409: "The job's state does not allow it",
    503: "The model is not loaded, or the server is shutting down: see Retry-After",
    507: "The disk has too little free space",
}


def errors(*codes: int) -> dict[int, ResponseSpec]:
    """Of a route; those that any route of the dialect has are always among them."""
    return {
        code: ResponseSpec(
            data_container={204: None, 503: NotReadyDocument}.get(code, ErrorDocument),
            generate_examples=False,
            description=_MEANING[code],
        )
        for code in sorted({*codes, 401, 403, 405, 429, 500})
    }


def answers(code: int, kind: Any, meaning: str, media_type: str = JSON) -> dict[int, Any]:
    """An answer that Litestar cannot see in the handler's signature."""
    return {
        code: ResponseSpec(
            data_container=kind,
            generate_examples=False,
            description=meaning,
            media_type=media_type,
        )
    }
