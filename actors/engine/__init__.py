"""The engine: whisper.cpp in a child process, and the weights it loads."""
