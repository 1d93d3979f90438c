"""The engine: whisper.cpp in a child process, and the actor that controls it."""
