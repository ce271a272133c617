"""Connections: the session, reading ahead, server workarounds, and the classes that users hold."""

__all__: list[str] = []
