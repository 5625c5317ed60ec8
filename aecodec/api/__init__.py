"""What users call: whole arrays, files, and streams."""
