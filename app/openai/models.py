"""/v1/models: what a client may ask for."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, TypedDict

from litestar import Router, get
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import Example

from actors.models.catalogue import Catalogue
from app.auth.guards import native
from app.openai.errors import HANDLERS, UnknownModel
from app.openai.openapi import MODEL, answers
from app.openai.orders import means_default
from app.services.openapi import errors
from app.services.order_form import no_such_model
from app.services.services import Services
from storage.errors import Invalid

OWNER = "whisperbox"
DEFAULT_NAME = "whisper-1"
"""OpenAI's name that every client knows; here it is the server's own model."""


class ModelDocument(TypedDict):
    id: str
    object: str
    created: int
    owned_by: str


class ModelList(TypedDict):
    object: str
    data: list[ModelDocument]


def _answers(kind: type, example: Mapping[str, Any]) -> dict[int, ResponseSpec]:
    found = errors(kind, {200: "What there is"}, {200: [Example(value=example)]})
    return found | answers(transcription=False)


@get(
    "/",
    summary="The models of this server",
    responses=_answers(ModelList, {"object": "list", "data": [MODEL]}),
)
async def listed(services: Services) -> ModelList:
    """Those that are installed, the default first, and `whisper-1`, which stands for it."""
    catalogue = services.system.configuration.catalogue
    return {"object": "list", "data": [_document(catalogue, name) for name in _names(catalogue)]}


@get("/{model_id:path}", summary="One model", responses=_answers(ModelDocument, MODEL))
async def one(services: Services, model_id: str) -> ModelDocument:
    return _document(services.system.configuration.catalogue, model_id.strip("/"))


def meant_by(catalogue: Catalogue, name: str | None) -> str | None:
    """The model that is meant; None: the server's own.

    Raises:
        UnknownModel: the server has none of that name, and OpenAI has none, either.
    """
    if name is None or catalogue.may_be_requested(name):
        return name
    if means_default(name):
        return None
    raise UnknownModel(no_such_model(catalogue, name))


def _names(catalogue: Catalogue) -> Iterator[str]:
    yield from catalogue.offered()
    yield DEFAULT_NAME


def _document(catalogue: Catalogue, name: str) -> ModelDocument:
    model = catalogue.resolve(meant_by(catalogue, name))
    created = 0.0
    with suppress(Invalid, OSError):  # the default model may be downloaded only when it is needed
        created = catalogue.find(model).path.stat().st_mtime
    return {"id": name, "object": "model", "created": int(created), "owned_by": OWNER}


router = Router(
    "/v1/models",
    route_handlers=[listed, one],
    guards=[native],
    exception_handlers=HANDLERS,
    tags=["OpenAI"],
)
