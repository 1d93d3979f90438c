"""Mailboxes, actors and their supervisor. Nothing in here is about speech or transcripts."""
