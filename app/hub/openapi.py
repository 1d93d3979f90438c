"""What the interactive documentation says of the hub dialect's requests and errors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import (
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    Reference,
    RequestBody,
    Schema,
)

from app.hub.documents import FieldErrors, HubError
from app.hub.orders import CALLBACK, FIELDS, FILE, TOKEN_FIELDS
from app.services.order_form import Field, schemas

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
Properties = dict[str, Reference | Schema]
_MEANING = {
    401: "Nobody has signed in, or with what holds no longer",
    403: "The account may not do that",
    404: "There is no such job, or none that you may see",
    405: "The route has other methods",
    422: "Something in the request is wrong, or the job's state does not allow it",
    429: "Too many requests, or the account's share is used up: see Retry-After",
    500: "What should have answered crashed, and is restarted",
    503: "The server is busy or shutting down: see Retry-After",
}


@dataclass
class HubOperation(Operation):
    """Without Litestar's 400, which is a 422 in this dialect."""

    def __post_init__(self) -> None:
        if self.responses:
            self.responses.pop("400", None)


def documented(*codes: int, operation: type[HubOperation] = HubOperation) -> dict[str, Any]:
    """Keywords of a route: its errors, with those that any route of the dialect has."""
    responses = {
        code: ResponseSpec(
            data_container=FieldErrors if code == 422 else HubError,
            generate_examples=False,
            description=_MEANING[code],
        )
        for code in sorted({*codes, 401, 403, 405, 422, 429, 500})
    }
    return {"responses": responses, "operation_class": operation}


def takes(body: type[msgspec.Struct]) -> type[HubOperation]:
    """Of a handler that reads a JSON body by itself, none being as good as an empty one."""

    @dataclass
    class WithBody(HubOperation):
        def __post_init__(self) -> None:
            super().__post_init__()
            _, parts = msgspec.json.schema_components([body])
            media = OpenAPIMediaType(schema=_schema(parts[body.__name__]))
            self.request_body = RequestBody(content={JSON: media})

    return WithBody


def _schema(part: dict[str, Any]) -> Schema:
    """msgspec's schema of a struct of plain fields, as Litestar's."""
    properties: Properties = {
        name: Schema(
            type=[OpenAPIType(each["type"]) for each in one.get("anyOf", [one])],
            description=one.get("description"),
            default=one.get("default"),
            minimum=one.get("minimum"),
            maximum=one.get("maximum"),
            min_length=one.get("minLength"),
        )
        for name, one in part["properties"].items()
    }
    return Schema(
        type=OpenAPIType.OBJECT, properties=properties, required=part.get("required") or None
    )


_FILE = Schema(
    type=OpenAPIType.STRING,
    content_media_type="application/octet-stream",
    description="Any audio or video that FFmpeg understands, instead of source_url",
)


@dataclass
class Queueing(HubOperation):
    """The fields of a job, which are read as a stream and Litestar therefore cannot see."""

    fields: ClassVar[Mapping[str, Field]] = FIELDS
    needed: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        fields: Properties = {**schemas(self.fields)}
        small, whole = (
            Schema(type=OpenAPIType.OBJECT, properties=some, required=[*self.needed] or None)
            for some in (fields, {FILE: _FILE, **fields})
        )
        bodies = {JSON: small, FORM: small, MULTIPART: whole}
        self.request_body = RequestBody(
            content={kind: OpenAPIMediaType(schema=schema) for kind, schema in bodies.items()},
            required=True,
        )


@dataclass
class QueueingByToken(Queueing):
    fields: ClassVar[Mapping[str, Field]] = TOKEN_FIELDS
    needed: ClassVar[tuple[str, ...]] = (CALLBACK,)
