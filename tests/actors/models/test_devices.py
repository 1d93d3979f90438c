from pathlib import Path

import pytest

from actors.models.devices import Build, EngineUnusable, engine_environment, examine


def test_the_engine_says_what_it_was_built_for_and_what_is_here() -> None:
    build = examine()
    assert "CPU" in build.backends
    assert "CPU : " in build.flags
    assert build.supports_gpus or not build.gpus


def test_an_engine_that_cannot_be_imported_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = "libcuda.so.1: cannot open shared object file"
    (tmp_path / "_pywhispercpp.py").write_text(f"raise ImportError({missing!r})")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(EngineUnusable, match=missing):
        examine()


def test_an_engine_that_crashes_is_told_by_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "_pywhispercpp.py").write_text("import os; os.abort()")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(EngineUnusable, match="code -6"):
        examine()


@pytest.mark.parametrize(
    ("backends", "for_gpus"),
    [(("CPU",), False), (("BLAS", "CPU"), False), (("Vulkan", "CPU"), True), (("CUDA",), True)],
)
def test_what_an_engine_is_built_for(backends: tuple[str, ...], for_gpus: bool) -> None:
    assert Build("", backends, ()).supports_gpus is for_gpus


def test_the_first_card_is_left_to_vulkan_and_another_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("GGML_VK_VISIBLE_DEVICES", raising=False)
    assert engine_environment("0")["CUDA_VISIBLE_DEVICES"] == "0"
    assert "GGML_VK_VISIBLE_DEVICES" not in engine_environment("0")
    assert engine_environment("1")["GGML_VK_VISIBLE_DEVICES"] == "1"
