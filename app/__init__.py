"""The edge: HTTP, the command line, the process."""
