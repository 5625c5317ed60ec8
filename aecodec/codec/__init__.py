"""Chunk <-> array: composes lattice, latents, packing and runtime."""
