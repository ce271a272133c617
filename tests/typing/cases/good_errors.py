"""The fields of exceptions, and the constants next to them."""

from typing import assert_type

from tests.typing.cases.messages import ChatConnection, ChatHandshake
from typedws import (
    CloseCode,
    CodecNotInstalled,
    ConcurrentReceive,
    DenialResponseUnsupported,
    InvalidClose,
    InvalidHandshake,
    InvalidInput,
    InvalidMessage,
    InvalidMessageType,
    InvalidParams,
    InvalidState,
    Outcome,
    TypedWSError,
    UndeclaredMessageType,
    UnknownMode,
    UnsendableMessage,
    WebSocketDisconnect,
    WebSocketDisconnected,
    truncate_reason,
)


async def what_the_peer_did(ws: ChatConnection) -> None:
    try:
        await ws.receive_model()
    except InvalidMessage as error:
        assert_type(error.close_code, CloseCode)
        assert_type(error.locations(), list[tuple[str, str]])
        assert_type(error.expected, str)
        assert_type(error.found, str)
        if error.problem == "too_big":
            await ws.close(error.close_code, truncate_reason(error.found))
        for detail in error.errors(include_input=True):
            assert_type(detail["loc"], tuple[int | str, ...])
            assert_type(detail["msg"], str)
    except WebSocketDisconnected:
        raise
    except WebSocketDisconnect as gone:
        assert_type(gone.code, int)
        assert_type(gone.reason, str)
        if gone.closed_by == "network":
            raise WebSocketDisconnect(CloseCode.ABNORMAL_CLOSURE, reason=None) from None


async def parameters(handshake: ChatHandshake) -> Outcome:
    try:
        room = handshake.params
    except InvalidParams as error:
        assert_type(error.status_code, int)
        return await handshake.deny(error.status_code, detail=f"{error.locations()}")
    return await handshake.deny(404, detail=room.room)


def one_root() -> list[type[TypedWSError]]:
    return [
        CodecNotInstalled,
        ConcurrentReceive,
        DenialResponseUnsupported,
        InvalidClose,
        InvalidHandshake,
        InvalidInput,
        InvalidMessage,
        InvalidMessageType,
        InvalidParams,
        InvalidState,
        UndeclaredMessageType,
        UnknownMode,
        UnsendableMessage,
        WebSocketDisconnect,
        WebSocketDisconnected,
    ]


def as_builtins() -> None:
    values: list[type[ValueError]] = [InvalidClose, InvalidHandshake, UnsendableMessage]
    moves: list[type[RuntimeError]] = [InvalidState, UnknownMode, WebSocketDisconnected]
    assert_type(len(values) + len(moves), int)


def codes() -> None:
    numbers: list[int] = [CloseCode.NORMAL_CLOSURE, CloseCode.UNAUTHORIZED + 1000]
    assert_type(numbers, list[int])
    assert_type(CloseCode(1000), CloseCode)
    assert_type(truncate_reason("bye"), str)
    assert_type(truncate_reason(reason="bye"), str)
