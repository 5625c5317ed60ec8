"""Damage and attacks by the thousand: what the bounded tests run in part, and `python -m tests.damage` at any length."""
