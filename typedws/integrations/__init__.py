"""Endpoints inside web frameworks: one file per framework, which alone imports it."""

__all__: list[str] = []
