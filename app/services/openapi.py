"""What the interactive documentation says of a form that a handler reads as a stream."""

from collections.abc import Mapping
from dataclasses import dataclass

from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema

from app.services.order_form import Field, schemas


def upload_operation(file_field: str, fields: Mapping[str, Field]) -> type[Operation]:
    """The operation class of a route that takes a recording with these fields."""

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
                content={"multipart/form-data": OpenAPIMediaType(schema=schema)}, required=True
            )

    return WithUpload
