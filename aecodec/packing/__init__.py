"""Integers in, bytes out: how zstd gets within a per cent of the entropy."""
