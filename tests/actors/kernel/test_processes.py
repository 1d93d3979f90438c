"""Children that somebody kills, and the pauses between tries in virtual time."""

import gc
import signal
import subprocess
import sys
from typing import Any

import anyio
import psutil
import pytest
import trio.testing

from actors.kernel.processes import MAX_TRIES, PAUSES_S, Killed, check, open_child, retry_if_killed


@pytest.mark.anyio
class TestChildren:
    async def test_a_child_is_not_reached_by_a_signal_that_is_for_the_server(self) -> None:
        code = "import time; print(flush=True); time.sleep(60)"
        async with await open_child([sys.executable, "-c", code]) as child:
            assert child.stdout
            await child.stdout.receive()
            child.send_signal(signal.SIGINT)
            child.terminate()
            with anyio.move_on_after(0.3) as waited:
                await child.wait()
            assert waited.cancelled_caught
            child.kill()
            await child.wait()
            with pytest.raises(Killed, match="signal 9"):
                check(child)

    async def test_a_child_that_ends_by_itself_was_not_killed(self) -> None:
        async with await open_child([sys.executable, "-c", "raise SystemExit(2)"]) as child:
            await child.wait()
            check(child)


def test_a_start_that_is_cancelled_leaves_nothing_behind() -> None:
    async def cancelled(after_s: float) -> None:
        with anyio.move_on_after(after_s):
            async with await open_child(["sleep", "60"], stdin=subprocess.PIPE):
                await anyio.sleep_forever()

    leaks: list[object] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "unraisablehook", lambda leak: leaks.append(leak.exc_value))
        for n in range(40):  # a start takes a millisecond or two
            anyio.run(cancelled, n / 10_000)
        gc.collect()
    assert leaks == []
    assert psutil.Process().children() == []


@pytest.mark.anyio
class TestTries:
    @pytest.fixture
    def anyio_backend(self) -> tuple[str, dict[str, Any]]:
        return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}

    @pytest.mark.parametrize("kills", range(MAX_TRIES))
    async def test_what_is_killed_is_tried_again(self, kills: int) -> None:
        left, began = [kills], anyio.current_time()

        async def work() -> str:
            left[0] -= 1
            if left[0] >= 0:
                raise Killed("by the test")
            return "done"

        assert await retry_if_killed(work) == "done"
        assert anyio.current_time() - began == pytest.approx(sum(PAUSES_S[:kills]))

    async def test_what_is_always_killed_is_given_up(self) -> None:
        tries = []

        async def work() -> None:
            tries.append(1)
            raise Killed("by the test")

        with pytest.raises(Killed):
            await retry_if_killed(work)
        assert len(tries) == MAX_TRIES
