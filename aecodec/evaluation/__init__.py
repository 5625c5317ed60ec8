"""How good a codec is on given data: measured, and shown on a page."""
