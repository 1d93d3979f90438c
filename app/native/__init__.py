"""The native dialect: /jobs, /model, /health."""
