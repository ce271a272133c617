"""A policy in force: which connections are admitted, and how many there are. Nothing is sent here."""

from typedws._endpoint.endings import FULL, Ending, origin_refused
from typedws._endpoint.origins import OriginRule
from typedws._endpoint.policy import Policy
from typedws._runtime.watchdog import check_interval
from typedws.asgi import Scope

__all__ = ["Admission"]


class Admission:
    """A policy in force: its rules made ready, and how many connections it has let in."""

    __slots__ = ("connections", "debug", "period", "policy", "rule")

    def __init__(self, policy: Policy, *, debug: bool = False) -> None:
        self.policy: Policy = policy
        self.debug: bool = debug
        self.rule: OriginRule = OriginRule(policy.origins, policy.hosts)
        self.connections: int = 0
        timeouts = (policy.handshake_timeout, policy.idle_timeout, policy.send_timeout)
        self.period: float | None = min((check_interval(each) for each in timeouts if each is not None), default=None)

    def refusal(self, scope: Scope) -> Ending | None:
        """Give how a connection ends that is not let in; ``None`` for one that is."""
        limit = self.policy.max_connections
        if limit is not None and self.connections >= limit:
            return FULL
        refusal = self.rule.refusal(scope["headers"], scope.get("server"))
        return None if refusal is None else origin_refused(refusal)
