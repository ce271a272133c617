"""Endpoints inside web frameworks: one module per framework, the only one that imports it."""

__all__: list[str] = []
