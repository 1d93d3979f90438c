"""Signs webhooks as https://www.standardwebhooks.com describes it, version 1."""

import base64
import binascii
import hashlib
import hmac


def parse_secret(text: str) -> bytes:
    """The key: the decoded base64 after ``whsec_``, or without this prefix the text itself.

    Raises:
        ValueError: the text after ``whsec_`` is not base64.
    """
    if not text.startswith("whsec_"):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise ValueError("begins with whsec_, but no base64 follows") from None


def headers(secret: bytes | None, delivery_id: str, body: bytes, now: float) -> dict[str, str]:
    """The headers of one try, signed if there is a secret; ``now``: seconds since the epoch."""
    timestamp = str(int(now))
    made = {
        "content-type": "application/json",
        "user-agent": "whisperbox",
        "webhook-id": delivery_id,
        "webhook-timestamp": timestamp,
    }
    if secret is not None:
        signed = f"{delivery_id}.{timestamp}.".encode() + body
        digest = hmac.digest(secret, signed, hashlib.sha256)
        made["webhook-signature"] = "v1," + base64.b64encode(digest).decode()
    return made
