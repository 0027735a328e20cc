"""The C core and its binding. Users take `libchronicle.queue` and `libchronicle.clock`; nothing is public here."""

__all__: list[str] = []
