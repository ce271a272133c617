"""The parts of an opening handshake: URL, headers, query, subprotocols, path templates. Values only, no I/O."""

__all__: list[str] = []
