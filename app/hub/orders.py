"""What the hub calls the fields of a submission."""

from app.services import order_form

CALLBACK_FORMAT = "hub"
FILE, URL, CALLBACK = "media_file", "source_url", "callback_url"

FIELDS = {
    URL: order_form.SOURCE_URL,
    "source_label": order_form.LABEL,
    "source_note": order_form.NOTE,
    "model": order_form.MODEL,
    "language": order_form.LANGUAGE,
    "languages": order_form.LANGUAGES_SPOKEN,
    "task": order_form.TASK,
    "word_timestamps": order_form.WORD_TIMESTAMPS,
    "audio_track": order_form.AUDIO_TRACK,
    "vad": order_form.VAD,
    "quality": order_form.QUALITY,
    "prompt": order_form.PROMPT,
    "analysis_language": order_form.ANALYSIS_LANGUAGE,
    "translation_target_languages": order_form.TRANSLATIONS,
    "disable_diarization": order_form.NO_DIARIZATION,
}
TOKEN_FIELDS = {
    CALLBACK: order_form.webhook(CALLBACK_FORMAT, "Told of the job's end"),
    **FIELDS,
}
"""By token a callback is required."""
