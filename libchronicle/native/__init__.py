"""The C core and its binding."""
