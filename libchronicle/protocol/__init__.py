"""Message schema and codecs."""
