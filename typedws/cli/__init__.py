"""The command ``typedws``, which needs the ``cli`` extra."""

__all__: list[str] = []
