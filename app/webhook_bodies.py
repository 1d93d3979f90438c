"""What webhooks say: each surface's own body, made from the rows as they are when it is sent."""

from actors.system import System
from actors.webhooks.dispatcher import Render
from app.hub.callback import callback_body
from app.hub.orders import CALLBACK_FORMAT
from app.native.documents import webhook_body
from app.services.info import ServerInfo
from app.services.jobs import JobService
from storage.records import Delivery


def renderer(system: System, info: ServerInfo) -> Render:
    """Of a delivery, by its format. A job that has ended never changes, but for a restart."""
    service = JobService(system)

    async def render(delivery: Delivery) -> bytes:
        job = await system.jobs.get(delivery.job_id) if delivery.job_id else None
        if job and not job.status.terminal:
            raise OSError("the job was restarted")  # and what is to be said of it will be
        if job and delivery.format == CALLBACK_FORMAT:
            return callback_body(await service.full_details(job), info)
        segments = await system.jobs.transcript(job) if job else []
        left_out = await system.jobs.left_out(job) if job else []
        return webhook_body(delivery, job, segments, left_out)

    return render
