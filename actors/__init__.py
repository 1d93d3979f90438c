"""The actors, and what they touch the world with. `system.py` shows the whole house."""
