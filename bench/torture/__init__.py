"""Kills, power cuts, faults and load, on real servers: what must not cost a job.

``python -m bench.torture PART``; ``--help`` lists the parts. ``short`` is the part of `make check`.
"""
