"""Many connections: a group, its members' outboxes, and the tasks that deliver."""

__all__: list[str] = []
