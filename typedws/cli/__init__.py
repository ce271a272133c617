"""The command ``typedws``, of the extra ``cli``."""

__all__: list[str] = []
