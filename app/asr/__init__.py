"""The API of whisper-asr-webservice: /asr and /detect-language, which Bazarr speaks."""
