"""The commands that make accounts and tokens, also while the server runs."""

import argparse
import getpass
import sys
import time
from collections.abc import Awaitable, Callable

import anyio
from rich.console import Console
from rich.table import Table

from app import access, passwords
from app.settings import Settings
from app.show import terminal
from storage.accounts import Accounts
from storage.database import DATABASE, open_database
from storage.errors import NotFound
from storage.records import Account
from storage.times import utc

DAY_S = 86_400

Command = Callable[[argparse.Namespace, Accounts], Awaitable[None]]


def command(work: Command) -> Callable[[argparse.Namespace, Settings], int]:
    """What the command line runs: ``work`` on the accounts of DATA_DIR."""

    def run(args: argparse.Namespace, settings: Settings) -> int:
        anyio.run(_with_accounts, work, args, settings)
        return 0

    return run


async def _with_accounts(work: Command, args: argparse.Namespace, settings: Settings) -> None:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    refusal: Exception | None = None
    async with open_database(settings.data_dir / DATABASE) as database:
        try:
            await work(args, Accounts(database))
        except Exception as error:  # out of the task group, or it would come wrapped
            refusal = error
    if refusal:
        raise refusal


async def add_user(args: argparse.Namespace, accounts: Accounts) -> None:
    email = access.normalised(args.email)
    await accounts.add(
        email,
        passwords.hashed(_password(args)),
        admin=args.admin,
        may={access.PERMISSIONS[name] for name in args.grant},
        now=utc(time.time()),
    )
    terminal.print(f"made the account {email}")


async def list_users(_: argparse.Namespace, accounts: Accounts) -> None:
    table = Table("e-mail", "may", "since", "", box=None)
    for account in await accounts.all():
        names = [n for n, permission in access.PERMISSIONS.items() if account.may(permission)]
        may = "everything (administrator)" if account.admin else ", ".join(names)
        table.add_row(
            account.email, may, account.created_at[:10], "disabled" if account.disabled_at else ""
        )
    Console().print(table)


async def set_password(args: argparse.Namespace, accounts: Accounts) -> None:
    account = await _account(accounts, args.email)
    await accounts.set_password(account.number, passwords.hashed(_password(args)))
    terminal.print(f"{account.email} has a new password, and is signed out everywhere")


async def grant(args: argparse.Namespace, accounts: Accounts) -> None:
    account = await _account(accounts, args.email)
    more = {access.PERMISSIONS[name] for name in args.permissions}
    await accounts.set_permissions(account.number, account.permissions | more)


async def revoke(args: argparse.Namespace, accounts: Accounts) -> None:
    account = await _account(accounts, args.email)
    less = {access.PERMISSIONS[name] for name in args.permissions}
    await accounts.set_permissions(account.number, account.permissions - less)


async def disable(args: argparse.Namespace, accounts: Accounts) -> None:
    account = await _account(accounts, args.email)
    await accounts.set_disabled(account.number, utc(time.time()))


async def enable(args: argparse.Namespace, accounts: Accounts) -> None:
    account = await _account(accounts, args.email)
    await accounts.set_disabled(account.number, None)


async def create_token(args: argparse.Namespace, accounts: Accounts) -> None:
    """Prints the token and nothing else, so that a script can take it."""
    account = await _account(accounts, args.email)
    expires = None if args.expires_days is None else time.time() + args.expires_days * DAY_S
    secret, _ = await access.create_token(accounts, account, args.name, args.scope, expires)
    print(secret)


async def list_tokens(args: argparse.Namespace, accounts: Accounts) -> None:
    whose = await _account(accounts, args.email) if args.email else None
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


async def revoke_token(args: argparse.Namespace, accounts: Accounts) -> None:
    if not await accounts.revoke_token(args.number, None, utc(time.time())):
        raise NotFound(f"there is no token {args.number} to revoke")


async def _account(accounts: Accounts, email: str) -> Account:
    found = await accounts.find(access.normalised(email))
    if found is None:
        raise NotFound(f"there is no account {email}")
    return found[0]


def _password(args: argparse.Namespace) -> str:
    if args.password_stdin:
        return sys.stdin.readline().rstrip("\n")
    return getpass.getpass("Password: ")
