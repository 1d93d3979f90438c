"""Children that somebody kills, and the pauses between tries in virtual time."""

import signal
import sys
from typing import Any

import anyio
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
