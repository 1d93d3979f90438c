"""What the interactive documentation says of a form that a handler reads as a stream."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from litestar.openapi import ResponseSpec
from litestar.openapi.spec import (
    Example,
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    RequestBody,
    Schema,
)

from app.services.order_form import Field, schemas


def upload_operation(
    file_field: str, fields: Mapping[str, Field], example: Mapping[str, str] = {}
) -> type[Operation]:
    """The operation class of a route that takes a recording with these fields; ``example``: values
    of some, beside the recording."""

    @dataclass
    class WithUpload(Operation):
        def __post_init__(self) -> None:
            recording = Schema(
                type=OpenAPIType.STRING,
                content_media_type="application/octet-stream",
                description="Any audio or video that FFmpeg understands; no size limit",
            )
            schema = Schema(
                type=OpenAPIType.OBJECT,
                properties={file_field: recording, **schemas(fields)},
                required=[file_field],
            )
            self.request_body = RequestBody(
                content={
                    "multipart/form-data": OpenAPIMediaType(
                        schema=schema, example={file_field: "(the file talk.mp3)", **example}
                    )
                },
                required=True,
            )

    return WithUpload


CALL_ERRORS = {
    400: "Something in the request is wrong; the sentence says what",
    401: "REQUIRE_TOKEN is on, and there is no token that holds",
    403: "The token or its account may not use this",
    408: "Less than 1 KiB was received in 30 s",
    413: "The file is larger than UPLOAD_MAX_MB",
    429: "Too many requests, or the account's share is used up",
    500: "The recording could not be transcribed, or the server failed",
    503: "The queue is full, or the server is shutting down",
    507: "The disk has too little free space",
}
"""What the errors mean of a route that answers with the transcript itself."""


def errors(
    kind: type, meanings: Mapping[int, str], examples: Mapping[int, Sequence[Example]] = {}
) -> dict[int, ResponseSpec]:
    """Answers of that shape."""
    return {
        code: ResponseSpec(
            data_container=kind,
            generate_examples=False,
            description=meaning,
            examples=list(examples.get(code, ())),
        )
        for code, meaning in meanings.items()
    }
