"""What the interactive documentation says of OpenAI's answers."""

from typing import Any, NotRequired, TypedDict

from litestar.openapi import ResponseSpec

from app.services.openapi import CALL_ERRORS, errors


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


_MEANING = CALL_ERRORS | {404: "The server has no such model", 405: "The route has other methods"}


def answers(*, transcription: bool = True) -> dict[int, ResponseSpec]:
    if transcription:
        return errors(Transcription, {200: "The transcript"}) | errors(OpenAIError, _MEANING)
    return errors(OpenAIError, {code: _MEANING[code] for code in (401, 403, 404, 429, 500)})
