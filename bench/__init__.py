"""The benchmarks. ``python -m bench`` runs them; bench/README.md has their results."""
