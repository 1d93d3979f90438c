"""Both dialects on one ledger: order, fairness, restarts."""

from pathlib import Path

from tests.acceptance.conftest import Start
from tests.acceptance.hub_client import Member
from tests.acceptance.receiver import Receiver

RIGHTS = ("--grant", "whisper.use", "--grant", "whisper.api")


def test_jobs_of_both_dialects_survive_kills_with_their_callbacks(
    start: Start, receiver: Receiver, clip: Path, talk: Path
) -> None:
    server = start(QUEUE_WHEN_UNLOADED="true")
    ann = Member(server, "ann@box.example", *RIGHTS)
    bob = Member(server, "bob@box.example", *RIGHTS)
    program = ann.token()
    hub = [program.upload(talk, receiver.url)["id"], bob.upload(clip)["id"]]
    native = [server.submit(clip, webhook_url=receiver.url), server.submit(talk)]
    hub.append(program.upload(clip, receiver.url)["id"])
    server.until(lambda: ann.job(hub[0])["progress_percent"] > 0)
    server.kill()
    server.start()
    # Every job that was at the engine has gone on since: no job rests because it crashed twice.
    bob.ended(hub[1])
    ann.ended(hub[2])
    server.ended(native[0])
    server.until(lambda: ann.job(hub[0])["progress_percent"] > 40)
    server.kill()
    server.start()
    assert [server.ended(job)["status"] for job in native] == ["done", "done"]
    server.until(lambda: len([b for b in receiver.bodies if "event" in b]) == 2)
    called = {body["job"]["job_id"] for body in receiver.bodies if "event" in body}
    assert called == {hub[0], hub[2]}
    assert bob.ended(hub[1])["status"] == "completed"
    assert native[0] in {body.get("id") for body in receiver.bodies}


def test_one_users_files_do_not_hold_up_anothers(start: Start, clip: Path, talk: Path) -> None:
    server = start(QUEUE_WHEN_UNLOADED="true")
    ann = Member(server, "ann@box.example", *RIGHTS)
    bob = Member(server, "bob@box.example", *RIGHTS)
    many = [ann.upload(talk)["id"] for _ in range(3)]
    one = bob.upload(clip)["id"]
    done = bob.ended(one)
    assert done["status"] == "completed"
    others = [ann.ended(number)["completed_at"] for number in many]
    assert done["completed_at"] < sorted(others)[1]


def test_an_administrators_job_goes_first(start: Start, clip: Path, talk: Path) -> None:
    server = start(QUEUE_WHEN_UNLOADED="true")
    ann = Member(server, "ann@box.example", *RIGHTS)
    root = Member(server, "root@box.example", "--admin")
    theirs = [ann.upload(talk)["id"] for _ in range(3)]
    mine = root.ended(root.upload(clip)["id"])
    assert mine["completed_at"] < min(ann.ended(number)["completed_at"] for number in theirs)
