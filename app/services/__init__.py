"""What surfaces do with jobs, once for all of them: submit, find, follow, share."""
