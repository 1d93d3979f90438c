"""/api/whisper/jobs/NUMBER/share: how owners share transcripts."""

from litestar import Router, delete, post

from app.auth.connection import caller_of
from app.auth.guards import signed_in
from app.http.bodies import read_json
from app.http.parameters import Number
from app.hub.documents import Said, Shared
from app.hub.errors import HANDLERS
from app.hub.jobs import AnyRequest
from app.hub.openapi import documented, takes
from app.hub.presenters import share_document
from app.services.services import Services
from app.services.share import ShareRequest
from storage.errors import NotFound


@post(
    "/{number:int}/share",
    status_code=200,
    summary="Share a transcript, or change how",
    **documented(404, operation=takes(ShareRequest)),
)
async def share(request: AnyRequest, services: Services, number: Number) -> Shared:
    """`{expires_in_hours, password, with_audio, with_downloads}`, all optional.

    The address stays the same.
    """
    job = await services.jobs.find(number, caller_of(request).jobs)
    made = await services.shares.put(job, await read_json(request, ShareRequest))
    return {"ok": True, "share": share_document(made, services.info.base_url)}


@delete(
    "/{number:int}/share",
    status_code=200,
    summary="End a transcript's public page",
    **documented(404),
)
async def unshare(request: AnyRequest, services: Services, number: Number) -> Said:
    """At once, and for good: a later share has another address."""
    job = await services.jobs.find(number, caller_of(request).jobs)
    if not await services.shares.revoke(job):
        raise NotFound("there is no share")
    return {"ok": True, "message": "The public page is gone."}


router = Router(
    "/api/whisper/jobs",
    route_handlers=[share, unshare],
    guards=[signed_in],
    exception_handlers=HANDLERS,
    tags=["hub"],
)
