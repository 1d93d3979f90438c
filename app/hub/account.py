"""/api/account"""

from typing import Annotated, Any

import msgspec
from litestar import Request, Router, post

from app.auth.access import SESSION_S, Access
from app.auth.connection import address_of, caller_of
from app.auth.guards import signed_in
from app.http.bodies import json_object
from app.http.refusals import Unprocessable
from app.hub.documents import Answer, SignedIn
from app.hub.errors import HANDLERS
from app.hub.openapi import documented, takes
from storage.errors import Invalid

LONGEST_BODY = 16 << 10


class Credentials(msgspec.Struct):
    email: Annotated[str, msgspec.Meta(min_length=1)]
    password: Annotated[str, msgspec.Meta(min_length=1)]


@post(
    "/login",
    status_code=200,
    summary="Sign in",
    request_max_body_size=LONGEST_BODY,
    **documented(operation=takes(Credentials)),
)
async def login(request: Request[Any, Any, Any], access: Access) -> SignedIn:
    """`{email, password}`; the answer's `access_token` is a bearer token for an hour."""
    email, password = _credentials(await request.body())
    try:
        token, account = await access.sign_in(email, password, address_of(request))
    except Invalid:
        raise Unprocessable({"email": ["This is not an e-mail address."]}) from None
    return {
        "access_token": token,
        "token_type": "bearer",
        "expires_in": SESSION_S,
        "user": {"id": account.number, "email": account.email},
    }


def _credentials(body: bytes) -> tuple[str, str]:
    given = json_object(body)
    errors = {
        field: [f"The {field} is required."]
        for field in ("email", "password")
        if not isinstance(given.get(field), str) or not given[field]
    }
    if errors:
        raise Unprocessable(errors)
    return given["email"], given["password"]


@post("/logout", status_code=200, summary="End the session", **documented())
async def logout(request: Request[Any, Any, Any], access: Access) -> Answer:
    """At once, everywhere this session is used."""
    await access.sign_out(caller_of(request))
    return {"ok": True}


router = Router(
    "/api/account",
    route_handlers=[
        login,
        Router("/", route_handlers=[logout], guards=[signed_in]),
    ],
    exception_handlers=HANDLERS,
    tags=["account"],
)
