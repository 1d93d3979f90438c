"""What the handlers of a job's page share: the job that was asked for, the form that was sent."""

from typing import Any

from litestar import Request
from litestar.response import Redirect

from app.auth.connection import caller_of
from app.http.bodies import read_form
from app.services.services import Services
from storage.errors import Conflict
from storage.records import Job, Status

AnyRequest = Request[Any, Any, Any]


async def job_seen(request: AnyRequest, services: Services, number: int) -> Job:
    return await services.jobs.find(number, caller_of(request).jobs)


async def job_done(request: AnyRequest, services: Services, number: int) -> Job:
    job = await job_seen(request, services, number)
    if job.status is not Status.DONE:
        raise Conflict("This job has no transcript yet.")
    return job


def account_number(request: AnyRequest) -> int:
    return caller_of(request).account.number


def to_job(number: int) -> Redirect:
    return Redirect(f"/whisper/jobs/{number}", status_code=303)


async def form_fields(request: AnyRequest) -> dict[str, str]:
    return {name: str(value) for name, value in (await read_form(request)).items()}
