"""Sending to many connections: the group, the outboxes of its members, and the tasks that write them."""

__all__: list[str] = []
