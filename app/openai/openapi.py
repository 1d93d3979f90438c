"""What the interactive documentation says of OpenAI's answers."""

from typing import Any, NotRequired, TypedDict

from litestar.openapi import ResponseSpec


class Usage(TypedDict):
    type: str
    seconds: int


class Transcription(TypedDict):
    """The fields after `usage` depend on `response_format`, `timestamp_granularities[]` and
    `include[]`."""

    text: str
    usage: Usage
    task: NotRequired[str]
    language: NotRequired[str]
    duration: NotRequired[float]
    segments: NotRequired[list[dict[str, Any]]]
    words: NotRequired[list[dict[str, Any]]]
    logprobs: NotRequired[list[dict[str, Any]]]


class ErrorBody(TypedDict):
    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIError(TypedDict):
    error: ErrorBody


_MEANING = {
    400: "Something in the request is wrong; the sentence says what",
    401: "REQUIRE_TOKEN is on, and there is no token that holds",
    403: "The token or its account may not use this",
    404: "The server has no such model",
    405: "The route has other methods",
    408: "Nothing was received for 30 s",
    413: "The file is larger than UPLOAD_MAX_MB",
    429: "Too many requests, or the account's share is used up",
    500: "The recording could not be transcribed, or the server failed",
    503: "The queue is full, or the server is shutting down",
    507: "The disk has too little free space",
}


def answers(*, transcription: bool = True) -> dict[int, ResponseSpec]:
    found = {200: _spec(Transcription, "The transcript")} if transcription else {}
    codes = _MEANING if transcription else (401, 403, 404, 429, 500)
    return found | {code: _spec(OpenAIError, _MEANING[code]) for code in codes}


def _spec(kind: Any, meaning: str) -> ResponseSpec:
    return ResponseSpec(data_container=kind, generate_examples=False, description=meaning)
