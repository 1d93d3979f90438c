from hypothesis import given
from hypothesis import strategies as st

from app.auth import request_limits
from app.auth.request_limits import Limiter


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_so_many_and_then_none_until_the_window_is_over() -> None:
    clock = Clock()
    limiter = Limiter(2, 60, clock)
    assert [limiter.take("a").remaining for _ in range(3)] == [1, 0, -1]
    clock.now = 59.5
    assert (limiter.take("a").exceeded, limiter.take("a").retry_after) == (True, 1)
    clock.now = 60.0
    assert not limiter.take("a").exceeded


def test_each_key_is_counted_alone() -> None:
    limiter = Limiter(1, 60, Clock())
    assert not limiter.take("a").exceeded
    assert not limiter.take("b").exceeded
    assert limiter.take("a").exceeded
    limiter.forget("a")
    assert not limiter.take("a").exceeded


def test_no_limit_is_never_exceeded() -> None:
    limiter = Limiter(0, 60, Clock())
    assert not any(limiter.take("a").exceeded for _ in range(1000))


def test_strangers_do_not_fill_the_memory() -> None:
    limiter = Limiter(1, 60, Clock())
    for key in range(3 * request_limits.MOST_KEYS):
        limiter.take(key)
    assert len(limiter._windows) <= request_limits.MOST_KEYS


@given(st.lists(st.floats(0, 20), max_size=60), st.integers(1, 5))
def test_no_window_ever_admits_more_than_its_limit(gaps: list[float], limit: int) -> None:
    clock, admitted = Clock(), []
    limiter = Limiter(limit, 30, clock)
    began = 0.0
    for gap in gaps:
        clock.now += gap
        if clock.now - began >= 30 or not admitted:
            began, admitted = clock.now, []
        admitted.append(not limiter.take("a").exceeded)
        assert sum(admitted) <= limit
