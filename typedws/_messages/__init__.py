"""Message types: type forms, core schemas, the adapter that validates and serializes one type."""

__all__: list[str] = []
