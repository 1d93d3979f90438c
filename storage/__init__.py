"""Rows and files: the only part that knows SQL and where things lie on disk."""
