"""Recipes for all that ships with the library, used from a checkout."""
