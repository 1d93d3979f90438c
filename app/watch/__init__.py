"""A watched folder: recordings in it are transcribed, and the transcripts put beside them."""
