"""``whisperbox user``: accounts, from the command line."""

import argparse
import getpass
import sys
import time
from typing import Any

from rich.console import Console
from rich.table import Table

from app.auth import passwords
from app.auth.credentials import normalised
from app.auth.permissions import PERMISSIONS
from app.cli.accounts import account_of, with_accounts
from app.cli.arguments import Subcommands, add_command, add_group
from app.cli.terminal import terminal
from storage.accounts import Accounts
from storage.times import utc

USE = "whisper.use"


def add(commands: Subcommands) -> None:
    users = add_group(
        commands,
        "user",
        "Accounts: who may sign in, and what they may do.",
        ["user add ann@box.example", "user grant ann@box.example whisper.api", "user list"],
    )

    def command(name: str, run: Any, about: str) -> argparse.ArgumentParser:
        return add_command(users, name, with_accounts(run), about)

    new = command("add", _add, "make an account")
    new.add_argument("email")
    new.add_argument("--admin", action="store_true", help="may do everything")
    new.add_argument(
        "--not-yet", action="store_true", help=f"without {USE}, which an account has otherwise"
    )
    _add_permissions(new, "--grant", action="append", default=[], metavar="PERMISSION")
    _add_password(new)
    command("list", _list, "everybody, and what they may do")
    _add_password(_add_email(command("passwd", _set_password, "set a password")))
    for name, run, about in (
        ("grant", _grant, "let somebody do more"),
        ("revoke", _revoke, "let somebody do less"),
    ):
        _add_permissions(
            _add_email(command(name, run, about)), "permissions", nargs="+", metavar="PERMISSION"
        )
    _add_email(command("disable", _disable, "lock somebody out, at once"))
    _add_email(command("enable", _enable, "let somebody in again"))


def _add_email(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("email")
    return parser


def _add_permissions(parser: argparse.ArgumentParser, name: str, **how: Any) -> None:
    parser.add_argument(name, choices=list(PERMISSIONS), help=", ".join(PERMISSIONS), **how)


def _add_password(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--password-stdin",
        action="store_true",
        help="read the password from standard input instead of asking for it",
    )


async def _add(args: argparse.Namespace, accounts: Accounts) -> None:
    email = normalised(args.email)
    await accounts.add(
        email,
        passwords.hashed(_password(args)),
        admin=args.admin,
        may={PERMISSIONS[name] for name in (*args.grant, *(() if args.not_yet else (USE,)))},
        now=utc(time.time()),
    )
    terminal.print(f"made the account {email}")


async def _list(_: argparse.Namespace, accounts: Accounts) -> None:
    table = Table("e-mail", "may", "since", "", box=None)
    for account in await accounts.all():
        names = [n for n, permission in PERMISSIONS.items() if account.may(permission)]
        may = "everything (administrator)" if account.admin else ", ".join(names)
        table.add_row(
            account.email, may, account.created_at[:10], "disabled" if account.disabled_at else ""
        )
    Console().print(table)


async def _set_password(args: argparse.Namespace, accounts: Accounts) -> None:
    account = await account_of(accounts, args.email)
    await accounts.set_password(account.number, passwords.hashed(_password(args)))
    terminal.print(f"{account.email} has a new password, and is signed out everywhere")


async def _grant(args: argparse.Namespace, accounts: Accounts) -> None:
    account = await account_of(accounts, args.email)
    more = {PERMISSIONS[name] for name in args.permissions}
    await accounts.set_permissions(account.number, account.permissions | more)


async def _revoke(args: argparse.Namespace, accounts: Accounts) -> None:
    account = await account_of(accounts, args.email)
    less = {PERMISSIONS[name] for name in args.permissions}
    await accounts.set_permissions(account.number, account.permissions - less)


async def _disable(args: argparse.Namespace, accounts: Accounts) -> None:
    account = await account_of(accounts, args.email)
    await accounts.set_disabled(account.number, utc(time.time()))


async def _enable(args: argparse.Namespace, accounts: Accounts) -> None:
    account = await account_of(accounts, args.email)
    await accounts.set_disabled(account.number, None)


def _password(args: argparse.Namespace) -> str:
    if args.password_stdin:
        return sys.stdin.readline().rstrip("\n")
    return getpass.getpass("Password: ")
