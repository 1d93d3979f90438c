"""What can be set about who may use the server."""

from dataclasses import dataclass

from actors.kernel.setting import setting


@dataclass(frozen=True)
class AccessSettings:
    admin_email: str | None = setting(
        None, "With ADMIN_PASSWORD: the first administrator, made where there is no account yet."
    )
    admin_password: str | None = setting(None, "See ADMIN_EMAIL.", secret=True)
    require_token: bool = setting(False, "Whether the native API, too, wants a token or a session.")
    whisperbox_token: str | None = setting(
        None,
        "The token that the `whisperbox` command shows a server that wants one.",
        secret=True,
    )
    requests_per_minute: int = setting(
        120, "Requests a minute of each account, token or address; 0 is no limit.", minimum=0
    )
