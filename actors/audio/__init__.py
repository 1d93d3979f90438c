"""From a file of any kind to what the engine should hear, and back to the time of the file."""

RATE = 16_000
"""Samples a second of everything after decoding; mono, s16 little-endian."""
SAMPLE_BYTES = 2
