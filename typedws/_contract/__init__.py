"""What both sides agree on: the contract, handshake parameters, fingerprint, problem documents."""

__all__: list[str] = []
