"""Event loop differences, and the watchdog that checks connections periodically."""

__all__: list[str] = []
