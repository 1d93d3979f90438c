"""The operator at the command line of the server's own box.

Who can read the data folder can read every job; so the `whisperbox` command there needs no token.
It shows a pass, signed with the server's own key, instead of the key: a pass is soon worth nothing
to whatever else may listen on the server's port.
"""

import time

import jwt

ALGORITHM = "HS256"
AUDIENCE = "operator"
"""Without it, a pass could be taken for a session, which is signed with the same key."""
LASTS_S = 60.0


def make_pass(key: bytes) -> str:
    return jwt.encode({"aud": AUDIENCE, "exp": time.time() + LASTS_S}, key, ALGORITHM)


def is_pass(secret: str | None, key: bytes) -> bool:
    try:
        jwt.decode(
            secret or "",
            key,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            options={"require": ["exp", "aud"]},
        )
    except jwt.InvalidTokenError:
        return False
    return True
