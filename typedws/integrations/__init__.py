"""Endpoints inside the frameworks that people run: one file each, which imports it."""

__all__: list[str] = []
