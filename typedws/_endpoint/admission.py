"""A policy in force: which connections are admitted, and how many there are. Nothing is sent here."""

from typedws._endpoint.endings import FULL, Ending, origin_refused
from typedws._endpoint.origins import OriginRule
from typedws._endpoint.policy import Policy
from typedws._runtime.watchdog import check_interval
from typedws.asgi import Scope

__all__ = ["Admission"]


class Admission:
    """Decides which handshakes are admitted under one policy, and counts the connections."""

    __slots__ = ("connections", "debug", "interval", "policy", "rule")

    def __init__(self, policy: Policy, *, debug: bool = False) -> None:
        self.policy: Policy = policy
        self.debug: bool = debug
        self.rule: OriginRule = OriginRule(policy.origins, policy.hosts)
        self.connections: int = 0
        timeouts = (policy.handshake_timeout, policy.idle_timeout, policy.send_timeout)
        self.interval: float | None = min((check_interval(each) for each in timeouts if each is not None), default=None)

    def refusal(self, scope: Scope) -> Ending | None:
        """Return how the handshake ends if it is not admitted, or ``None`` to admit it."""
        limit = self.policy.max_connections
        if limit is not None and self.connections >= limit:
            return FULL
        refusal = self.rule.refusal(scope["headers"], scope.get("server"))
        return None if refusal is None else origin_refused(refusal)
