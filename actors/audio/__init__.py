"""From a file of any kind to what the engine should hear, and back to the time of the file."""
