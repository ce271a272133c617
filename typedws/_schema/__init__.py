"""The JSON Schema generator for message types. Documents are built in `typedws.schema`."""

__all__: list[str] = []
