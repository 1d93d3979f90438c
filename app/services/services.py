"""What every surface is given."""

from actors.system import System
from app.services.calls import CallService
from app.services.info import ServerInfo
from app.services.jobs import JobService
from app.services.share import ShareService
from app.services.submit import SubmitService


class Services:
    """One object, since Litestar resolves several dependencies of a route in tasks of their own,
    which cost a tenth of a submit. (And not a dataclass, whose fields it would look into at each
    request.)"""

    def __init__(
        self,
        *,
        system: System,
        info: ServerInfo,
        jobs: JobService,
        submissions: SubmitService,
        calls: CallService,
        shares: ShareService,
    ) -> None:
        self.system, self.info = system, info
        self.jobs, self.submissions, self.shares = jobs, submissions, shares
        self.calls = calls
