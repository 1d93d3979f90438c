"""The API of OpenAI's clients: /v1/audio/transcriptions and what belongs to it."""
