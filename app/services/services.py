"""What every surface is given."""

from dataclasses import dataclass

from actors.system import System
from app.services.info import ServerInfo
from app.services.jobs import JobService
from app.services.share import ShareService
from app.services.submit import SubmitService


@dataclass(frozen=True)
class Services:
    """One object, since Litestar resolves several dependencies of a route in tasks of their own,
    which cost a tenth of a submit."""

    system: System
    info: ServerInfo
    jobs: JobService
    submissions: SubmitService
    shares: ShareService
