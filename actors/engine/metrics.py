"""The engine's Prometheus metrics."""

from prometheus_client import Counter, Histogram

AUDIO_SECONDS = Counter("whisperbox_audio_seconds", "Seconds of speech given to the engine")
ENGINE_SECONDS = Counter("whisperbox_engine_seconds", "Seconds the engine took for them")
REAL_TIME_FACTOR = Histogram(
    "whisperbox_real_time_factor",
    "Of each chunk: the engine's seconds for a second of speech",
    buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
LOAD_SECONDS = Histogram(
    "whisperbox_model_load_seconds",
    "From the start of an engine to its first inference",
    buckets=(0.5, 1, 2, 5, 10, 20, 40, 80),
)
ENGINE_CRASHES = Counter("whisperbox_engine_crashes", "Engine processes that ended by themselves")
