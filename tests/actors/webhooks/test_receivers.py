from actors.webhooks.receivers import DEAD_AFTER_S, DEAD_PAUSE_S, FORGOTTEN_AFTER_S, Receivers

HOST = "https://host"


def failed(receivers: Receivers, now: float) -> None:
    receivers.begun("msg", HOST)
    receivers.ended("msg", well=False, now=now)


def test_a_receiver_that_has_failed_for_a_day_rests_after_each_try() -> None:
    receivers = Receivers()
    failed(receivers, 0)
    assert receivers.held_up(1) == set()
    failed(receivers, DEAD_AFTER_S)
    assert receivers.held_up(DEAD_AFTER_S) == {HOST}
    assert receivers.next_change(DEAD_AFTER_S) == DEAD_AFTER_S + DEAD_PAUSE_S
    assert receivers.held_up(DEAD_AFTER_S + DEAD_PAUSE_S) == set()


def test_a_failure_long_ago_does_not_count() -> None:
    receivers = Receivers()
    failed(receivers, 0)
    failed(receivers, FORGOTTEN_AFTER_S + 1)
    assert receivers.held_up(FORGOTTEN_AFTER_S + 1) == set()


def test_a_rest_ends_when_somebody_asks_and_with_a_clock_that_was_put_back() -> None:
    receivers = Receivers()
    failed(receivers, 0)
    failed(receivers, DEAD_AFTER_S)
    receivers.cap_rests(0)
    assert receivers.next_change(0) == DEAD_PAUSE_S
    receivers.end_rests()
    assert receivers.held_up(0) == set()
