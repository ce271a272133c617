"""The WebSocket rules as pure code: state tables, single ASGI events, server profiles, outcomes. Nothing is awaited."""

__all__: list[str] = []
