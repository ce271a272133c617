"""The JSON Schema generator for message types. Documents are made in `typedws.schema`."""

__all__: list[str] = []
