"""What the interactive documentation says of OpenAI's answers."""

from typing import Any, NotRequired, TypedDict

from litestar.openapi import ResponseSpec
from litestar.openapi.spec import Example

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


_TEXT = "And so my fellow Americans, ask not what your country can do for you."
_USAGE = {"type": "duration", "seconds": 11}
TRANSCRIPTIONS = [
    Example(summary="json", value={"text": _TEXT, "usage": _USAGE}),
    Example(
        summary="verbose_json, with timestamp_granularities[] of segment and word",
        value={
            "task": "transcribe",
            "language": "english",
            "duration": 11.0,
            "text": _TEXT,
            "segments": [
                {
                    "id": 0,
                    "seek": 32,
                    "start": 0.32,
                    "end": 7.6,
                    "text": f" {_TEXT}",
                    "tokens": [],
                    "temperature": 0.0,
                    "avg_logprob": -0.367,
                    "compression_ratio": 1.02,
                    "no_speech_prob": 0.02,
                    "language": "en",
                    "speech_share": 1.0,
                }
            ],
            "words": [{"word": "And", "start": 0.32, "end": 0.56}],
            "usage": _USAGE,
        },
    ),
]
MODEL = {"id": "base", "object": "model", "created": 1778421600, "owned_by": "whisperbox"}
_NO_MODEL = {
    "error": {
        "message": "there is no model 'huge'; this server has base",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }
}
_NO_AUDIO = {
    "error": {
        "message": "the file is not audio or video that can be decoded",
        "type": "invalid_request_error",
        "param": "file",
        "code": "invalid_file",
    }
}
_EXAMPLES = {400: [Example(value=_NO_AUDIO)], 404: [Example(value=_NO_MODEL)]}
_MEANING = CALL_ERRORS | {404: "The server has no such model", 405: "The route has other methods"}


def answers(*, transcription: bool = True) -> dict[int, ResponseSpec]:
    if transcription:
        found = errors(Transcription, {200: "The transcript"}, {200: TRANSCRIPTIONS})
        return found | errors(OpenAIError, _MEANING, _EXAMPLES)
    meanings = {code: _MEANING[code] for code in (401, 403, 404, 429, 500)}
    return errors(OpenAIError, meanings, _EXAMPLES)
