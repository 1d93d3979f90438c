from collections import Counter
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from actors.jobs.scheduler import LOOK_AHEAD, MAX_OVERTAKES, Scheduler
from storage.records import Job, Order, Status
from tests.records import job as a_job

numbers = count(1)


def waiting(owner: int | None = None, *, urgent: bool = False, model: str | None = None) -> Job:
    number = next(numbers)
    order = Order(owner=owner, urgent=urgent, model=model)
    return a_job(number=number, id=f"job{number}", status=Status.QUEUED, order=order)


def turns(*jobs: Job) -> Scheduler:
    made = Scheduler()
    for job in jobs:
        made.put(job)
    return made


def anyone(_: Job) -> bool:
    return True


def wants(job: Job) -> str:
    return job.order.model or "base"


def serve(these: Scheduler, loaded: str | None = "base") -> Job:
    """One chunk, of whoever's turn it is."""
    job = these.choose(anyone, wants, loaded)
    rightful = these.choose(anyone, wants, None)
    assert job
    assert rightful
    these.chunk_started(job, out_of_turn=job.id != rightful.id)
    return job


def test_jobs_of_one_owner_go_in_the_order_they_came() -> None:
    jobs = [waiting() for _ in range(3)]
    these = turns(*jobs)
    assert list(these.in_order()) == jobs
    assert [serve(these) for _ in range(2)] == [jobs[0], jobs[0]]
    these.drop(jobs[0].id)
    assert serve(these) == jobs[1]


def test_a_changed_job_keeps_its_place() -> None:
    first, second = waiting(), waiting()
    these = turns(first, second)
    these.put(first)
    assert list(these.in_order()) == [first, second]


def test_fifty_files_of_one_do_not_make_another_wait_for_all_of_them() -> None:
    many = [waiting(owner=1) for _ in range(50)]
    one = waiting(owner=2)
    these = turns(*many, one)
    assert [serve(these) for _ in range(4)] == [many[0], one, many[0], one]


def test_urgent_jobs_go_before_all_others() -> None:
    plain, urgent = waiting(owner=1), waiting(owner=2, urgent=True)
    these = turns(plain, urgent)
    assert [serve(these) for _ in range(3)] == [urgent] * 3
    these.drop(urgent.id)
    assert serve(these) == plain


def test_a_job_that_cannot_go_on_is_passed() -> None:
    stuck, able = waiting(), waiting()
    these = turns(stuck, able)
    assert these.choose(lambda job: job.id == able.id, wants, "base") == able
    assert these.choose(lambda job: False, wants, "base") is None


def test_two_models_are_not_swapped_at_every_chunk_and_nobody_waits_for_ever() -> None:
    these = turns(waiting(owner=1), waiting(owner=2, model="small"))
    loaded, swaps, heard = "base", 0, Counter[str]()
    for _ in range(10 * MAX_OVERTAKES):
        job = serve(these, loaded)
        heard[wants(job)] += 1
        if wants(job) != loaded:
            loaded, swaps = wants(job), swaps + 1
    assert swaps <= 10
    assert min(heard.values()) >= 4 * MAX_OVERTAKES


def test_no_more_jobs_of_one_owner_are_looked_at_than_need_be() -> None:
    these = turns(*[waiting(owner=1) for _ in range(100)], *[waiting(owner=2) for _ in range(3)])
    assert Counter(job.order.owner for job in these.in_order()) == {1: LOOK_AHEAD, 2: 3}


owners = st.sampled_from([None, 1, 2, 3])


@given(st.lists(st.tuples(owners, st.booleans()), min_size=1, max_size=30))
def test_everybody_gets_as_much_as_everybody_else(those: list[tuple[int | None, bool]]) -> None:
    these = turns(*(waiting(owner=owner, urgent=urgent) for owner, urgent in those))
    chunk_started = [serve(these) for _ in range(60)]
    first = any(urgent for _, urgent in those)
    shares = Counter(job.order.owner for job in chunk_started)
    assert all(job.order.urgent == first for job in chunk_started)
    assert set(shares) == {owner for owner, urgent in those if urgent == first}
    assert max(shares.values()) - min(shares.values()) <= 1


@given(st.lists(st.tuples(owners, st.booleans(), st.sampled_from(["base", "small"])), max_size=20))
def test_every_job_ends(those: list[tuple[int | None, bool, str]]) -> None:
    these = turns(*(waiting(owner=o, urgent=u, model=m) for o, u, m in those))
    loaded = "base"
    for _ in those:
        job = serve(these, loaded)
        loaded = wants(job)
        these.drop(job.id)
    assert these.all() == []
    assert list(these.in_order()) == []
