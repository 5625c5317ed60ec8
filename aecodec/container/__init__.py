"""Bytes in, records out: framing, checksums, index. Nothing here knows what a chunk means (normative: FORMAT.md)."""
