"""Mailboxes, actors and their supervisor. Nothing here knows what Whisperbox is for."""
