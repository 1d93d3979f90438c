"""The actors, and the processes and network clients that they use.

`system.py` shows all actors and which messages each of them gets.
"""
