"""``whisperbox token``: keys for programs, from the command line."""

import argparse
import time

from rich.console import Console
from rich.table import Table

from app.auth.credentials import create_token
from app.auth.permissions import SCOPES
from app.cli.accounts import account_of, with_accounts
from app.cli.arguments import Subcommands, add_command, add_group
from storage.accounts import Accounts
from storage.errors import NotFound
from storage.times import utc

DAY_S = 86_400


def add(commands: Subcommands) -> None:
    tokens = add_group(
        commands,
        "token",
        "Keys for programs.",
        ["token create ann@box.example --scope whisper.api", "token list", "token revoke 3"],
    )
    create = add_command(
        tokens, "create", with_accounts(_create), "create a token, and print it this once"
    )
    create.add_argument("email", help="whose it is")
    create.add_argument("--scope", action="append", choices=list(SCOPES), required=True)
    create.add_argument("--name", default="", help="what it is for")
    create.add_argument("--expires-days", type=float, metavar="DAYS", help="left out: never")
    listed = add_command(tokens, "list", with_accounts(_list), "everybody's tokens, or somebody's")
    listed.add_argument("email", nargs="?")
    revoke = add_command(tokens, "revoke", with_accounts(_revoke), "end a token, at once")
    revoke.add_argument("number", type=int, help="as `token list` shows it")


async def _create(args: argparse.Namespace, accounts: Accounts) -> None:
    """Prints the token and nothing else, so that a script can take it."""
    account = await account_of(accounts, args.email)
    expires = None if args.expires_days is None else time.time() + args.expires_days * DAY_S
    secret, _ = await create_token(accounts, account, args.name, args.scope, expires)
    print(secret)


async def _list(args: argparse.Namespace, accounts: Accounts) -> None:
    whose = await account_of(accounts, args.email) if args.email else None
    emails = {account.number: account.email for account in await accounts.all()}
    table = Table("number", "e-mail", "name", "scopes", "made", "last used", "", box=None)
    for token in await accounts.tokens(whose.number if whose else None):
        expired = token.expires is not None and token.expires < time.time()
        state = "revoked" if token.revoked_at else "expired" if expired else ""
        table.add_row(
            str(token.number),
            emails[token.account],
            token.name,
            ", ".join(sorted(token.scopes)),
            token.created_at[:10],
            (token.last_used_at or "never")[:10],
            state,
        )
    Console().print(table)


async def _revoke(args: argparse.Namespace, accounts: Accounts) -> None:
    if not await accounts.revoke_token(args.number, None, utc(time.time())):
        raise NotFound(f"there is no token {args.number} to revoke")
