"""What the commands on accounts and tokens share. They work also while the server runs."""

import argparse
from collections.abc import Awaitable, Callable

import anyio

from app.auth.credentials import normalised
from app.settings import Settings
from storage.accounts import Accounts
from storage.data_folder import make_data_folder, make_private
from storage.database import DATABASE, open_database
from storage.errors import NotFound
from storage.records import Account

Command = Callable[[argparse.Namespace, Accounts], Awaitable[None]]


def with_accounts(work: Command) -> Callable[[argparse.Namespace, Settings], int]:
    """What the command line runs: ``work`` on the accounts of DATA_DIR."""

    def run(args: argparse.Namespace, settings: Settings) -> int:
        anyio.run(_run, work, args, settings)
        return 0

    return run


async def _run(work: Command, args: argparse.Namespace, settings: Settings) -> None:
    make_private()
    make_data_folder(settings.server.data_dir)
    refusal: Exception | None = None
    async with open_database(settings.server.data_dir / DATABASE) as database:
        try:
            await work(args, Accounts(database))
        except Exception as error:  # out of the task group, or it would come wrapped
            refusal = error
    if refusal:
        raise refusal


async def account_of(accounts: Accounts, email: str) -> Account:
    found = await accounts.find(normalised(email))
    if found is None:
        raise NotFound(f"there is no account {email}")
    return found[0]
