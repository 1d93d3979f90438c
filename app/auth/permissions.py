"""What an account may do, and which jobs it may see."""

from dataclasses import dataclass

from app.http.refusals import Denied, Unauthenticated
from storage.records import Account, Channel, Permission, Token, View

API_SCOPE = "whisper.api"
SUBMIT_SCOPE = "whisper.submit"
SCOPES = {API_SCOPE: API_SCOPE, "provider_whisper_api": API_SCOPE, SUBMIT_SCOPE: SUBMIT_SCOPE}
"""What a token may be made for; the second is the older name of the first. With the third, an
assistant (MCP) may submit recordings, too."""
PERMISSIONS = {
    "whisper.use": Permission.USE,
    "whisper.manage": Permission.MANAGE,
    "whisper.api": Permission.API,
    "provider_openai": Permission.ASSIST,
}
"""By the names that people know."""


WITHOUT_ACCOUNT = (
    Channel.NATIVE,
    Channel.OPENAI,
    Channel.ASR,
    Channel.WYOMING,
    Channel.WATCH,
)
"""The surfaces that anybody may use, unless the operator wants tokens."""


@dataclass(frozen=True)
class Caller:
    """Somebody who has shown who they are."""

    account: Account
    session: bytes | None = None
    token: Token | None = None

    @property
    def key(self) -> object:
        """Whose requests are counted together."""
        return ("token", self.token.number) if self.token else ("account", self.account.number)

    def require(self, *permissions: Permission) -> None:
        """
        Raises:
            Denied: the account lacks one of them.
        """
        for permission in permissions:
            if not self.account.may(permission):
                name = next(n for n, p in PERMISSIONS.items() if p is permission)
                raise Denied(f"This needs the permission {name}.")

    @property
    def jobs(self) -> View:
        """The jobs that may be seen when signed in: one's own, or for managers all."""
        if self.account.may(Permission.MANAGE):
            return View()
        return View(self.account.number, (Channel.WEB, Channel.API, Channel.OPENAI, Channel.ASR))

    @property
    def api_jobs(self) -> View:
        """The jobs that may be seen by token: the owner's own of the API."""
        return View(self.account.number, (Channel.API,))

    @property
    def all_jobs(self) -> View:
        """One's own jobs of all surfaces, or for managers everybody's."""
        if self.account.may(Permission.MANAGE):
            return View()
        return View(self.account.number, tuple(Channel))

    @property
    def may_submit(self) -> bool:
        """Whether an assistant with this token may submit recordings."""
        return self.token is not None and SUBMIT_SCOPE in self.token.scopes

    @property
    def native_jobs(self) -> View:
        """The jobs of these surfaces that may be seen where they ask for tokens."""
        everything = self.account.may(Permission.MANAGE)
        return View(None if everything else self.account.number, WITHOUT_ACCOUNT)


def require_api(caller: Caller) -> None:
    if caller.token is None or API_SCOPE not in caller.token.scopes:
        raise Denied(f"The token lacks the scope {API_SCOPE}.")
    caller.require(Permission.API, Permission.USE)


def nobody() -> Caller:
    raise Unauthenticated("Unauthenticated.")
