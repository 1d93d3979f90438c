"""What can be set about webhooks."""

from dataclasses import dataclass

from actors.kernel.setting import setting
from actors.webhooks.signing import parse_secret


@dataclass(frozen=True)
class WebhookSettings:
    webhook_secret: bytes | None = setting(
        None,
        "Signs webhooks (Standard Webhooks, `whsec_` and base64, or plain text).",
        parse=parse_secret,
        secret=True,
    )
    webhook_private_networks: bool = setting(
        True, "Whether webhooks may go to loopback and private addresses."
    )
