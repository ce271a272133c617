"""What an opening handshake contains: URL, headers, query, subprotocols, path templates. Values only, no I/O."""

__all__: list[str] = []
