"""Endpoints: how a handler is declared, admitted, run, timed and ended."""

__all__: list[str] = []
