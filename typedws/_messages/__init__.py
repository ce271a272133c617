"""Message types: type forms, core schemas, and the adapter that validates and serializes one type."""

__all__: list[str] = []
