"""`typedws._protocol.events`: reading the events of different servers, and checking the events of applications."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.websockets import WebSocketDisconnect as ClassicWebSocketDisconnect

from tests.support import Event
from typedws._http.headers import header_list
from typedws._protocol.events import (
    accept_event,
    binary_event,
    check_event,
    close_event,
    disconnect_of,
    frame_of,
    means_disconnected,
    private_range_close,
    text_event,
)
from typedws._protocol.outcomes import Closed
from typedws._protocol.server_profiles import ServerProfile
from typedws.close_codes import ApplicationCloseCode
from typedws.exceptions import ClosedBy, InvalidClose, InvalidHandshake, InvalidState, TypedWSError, UnsendableMessage


@pytest.mark.parametrize(
    ("event", "frame"),
    [
        ({"text": "a"}, "a"),
        ({"text": ""}, ""),
        ({"text": "a", "bytes": None}, "a"),
        ({"text": "", "bytes": None}, ""),
        ({"text": "a", "bytes": b""}, "a"),
        ({"bytes": b"a"}, b"a"),
        ({"bytes": b""}, b""),
        ({"bytes": b"a", "text": None}, b"a"),
        ({"bytes": b"", "text": None}, b""),
        ({"bytes": b"a", "text": ""}, b"a"),
        ({"text": None, "bytes": None}, b""),
        ({}, b""),
    ],
)
def test_a_frame_is_read_whatever_value_the_other_key_has(event: Event, frame: str | bytes) -> None:
    assert frame_of({"type": "websocket.receive", **event}) == frame


@pytest.mark.parametrize(
    ("event", "code", "reason", "closed_by"),
    [
        ({"code": 1000, "reason": "bye"}, 1000, "bye", "peer"),
        ({"code": 4001}, 4001, "", "peer"),
        ({"code": 1001, "reason": None}, 1001, "", "peer"),
        ({"code": None}, 1005, "", "peer"),
        ({}, 1005, "", "peer"),
        ({"code": 1006}, 1006, "", "network"),
        ({"code": 1012}, 1012, "", "server"),
        ({"code": 1002, "reason": "a"}, 1002, "a", "server"),
        ({"code": 1007, "reason": ""}, 1007, "", "server"),
        ({"code": 1005, "reason": ""}, 1005, "", "peer"),
        ({"code": 1005}, 1006, "", "network"),
    ],
)
def test_a_disconnect_is_read_whatever_the_server_omits(
    event: Event, code: int, reason: str, closed_by: ClosedBy
) -> None:
    assert disconnect_of({"type": "websocket.disconnect", **event}) == Closed(code, reason, closed_by)


def test_a_missing_reason_means_nothing_if_the_server_never_reports_one() -> None:
    event = {"type": "websocket.disconnect", "code": 1005}
    assert disconnect_of(event, ServerProfile(reports_close_reasons=False)) == Closed(1005, "", "peer")


class Closes(ApplicationCloseCode):
    MOVED = 4001, "moved"


@pytest.mark.parametrize(("code", "expected"), [(4001, Closes.MOVED), (4002, 4002), (1000, 1000), (None, 1005)])
def test_a_code_that_the_contract_names_is_its_member(code: int | None, expected: int) -> None:
    event = {"type": "websocket.disconnect", "code": code, "reason": ""}
    closed = disconnect_of(event, ServerProfile(is_peer=True, closes=Closes))
    assert (type(closed.code), closed.code) == (type(expected), expected)


@given(st.text(st.characters()))
def test_only_text_that_utf_8_can_encode_is_sent(data: str) -> None:
    try:
        data.encode()
    except UnicodeEncodeError as error:
        with pytest.raises(UnsendableMessage, match=f"index {error.start}"):
            text_event(data)
    else:
        assert text_event(data) == {"type": "websocket.send", "text": data}


def test_bytes_are_sent_unchanged() -> None:
    assert binary_event(b"\xff") == {"type": "websocket.send", "bytes": b"\xff"}


@pytest.mark.parametrize("code", [-1, 0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000])
def test_a_code_that_must_not_be_sent_is_refused(code: int) -> None:
    with pytest.raises(InvalidClose):
        close_event(code, None)


@pytest.mark.parametrize("code", [1000, 1003, 1007, 1014, 3000, 4999])
def test_a_sendable_code_is_sent(code: int) -> None:
    assert close_event(code, None) == {"type": "websocket.close", "code": code, "reason": ""}


@pytest.mark.parametrize(
    ("reason", "fits"),
    [("x" * 123, True), ("x" * 124, False), ("é" * 61 + "x", True), ("é" * 62, False), ("\ud800", False), ("", True)],
)
def test_the_limit_of_a_reason_is_in_bytes_of_utf_8(reason: str, fits: bool) -> None:
    if fits:
        assert close_event(1000, reason).get("reason") == reason
    else:
        with pytest.raises(InvalidClose):
            close_event(1000, reason)


@pytest.mark.parametrize("offered", [(), ("v1",), ("v1", "v2")])
def test_only_an_offered_subprotocol_is_accepted(offered: tuple[str, ...]) -> None:
    for subprotocol in offered:
        assert accept_event(subprotocol, None, offered).get("subprotocol") == subprotocol
    assert accept_event(None, None, offered).get("subprotocol") is None
    with pytest.raises(InvalidHandshake) as caught:
        accept_event("v3", None, offered)
    assert not any(each in str(caught.value) for each in offered), "an offer may carry a token"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Token": "é"},
        [("X-Token", "é")],
        [(b"X-Token", "é".encode("latin-1"))],
        iter([(b"x-token", b"\xe9")]),
    ],
    ids=["mapping", "text pairs", "byte pairs", "iterator"],
)
def test_headers_may_have_any_accepted_form(headers: Any) -> None:
    assert header_list(headers) == [(b"x-token", b"\xe9")]


@pytest.mark.parametrize(
    "field",
    [
        ("X Token", "a"),
        ("", "a"),
        ("é", "a"),
        ("\ud800", "a"),
        ("X-Token", "a\r\nSet-Cookie: b"),
        ("X-Token", "a\nb"),
        ("X-Token", "\0"),
        ("X-Token", "\u20ac"),
        (b"X:Token", b"a"),
    ],
)
def test_a_header_that_would_break_the_response_is_refused(field: Any) -> None:
    with pytest.raises(InvalidHandshake):
        header_list([field])


@pytest.mark.parametrize("name", ["Sec-WebSocket-Protocol", "sec-websocket-accept", "Connection", "upgrade"])
def test_headers_of_the_handshake_itself_are_refused(name: str) -> None:
    with pytest.raises(InvalidHandshake):
        accept_event(None, {name: "x"}, ())


@pytest.mark.parametrize(
    ("event", "refused"),
    [
        ({"type": "websocket.accept"}, None),
        ({"type": "websocket.accept", "subprotocol": "v1", "headers": []}, None),
        ({"type": "websocket.accept", "subprotocol": "v2"}, InvalidHandshake),
        ({"type": "websocket.accept", "headers": [(b"a b", b"")]}, InvalidHandshake),
        ({"type": "websocket.close"}, None),
        ({"type": "websocket.close", "code": 1006}, InvalidClose),
        ({"type": "websocket.close", "reason": "x" * 124}, InvalidClose),
        ({"type": "websocket.send", "text": "a"}, None),
        ({"type": "websocket.send", "text": None, "bytes": b"\xff"}, None),
        ({"type": "websocket.send", "text": "\ud800"}, UnsendableMessage),
        ({"type": "websocket.http.response.body"}, None),
    ],
)
def test_events_that_the_application_built_are_checked_by_the_same_rules(
    event: Event, refused: type[TypedWSError] | None
) -> None:
    if refused is None:
        check_event(event, ("v1",))
    else:
        with pytest.raises(refused):
            check_event(event, ("v1",))


@pytest.mark.parametrize(
    ("error", "is_gone"),
    [
        (OSError(), True),
        (ConnectionResetError(), True),
        (RuntimeError("Unexpected ASGI message 'websocket.send', after sending 'websocket.close'."), True),
        (ClassicWebSocketDisconnect(1006), True),
        (InvalidState("a", "b"), False),
        (KeyError("text"), False),
        (TypeError(), False),
    ],
)
def test_the_exception_of_a_server_shows_whether_the_peer_is_gone(error: Exception, is_gone: bool) -> None:
    assert means_disconnected(error) is is_gone


TOKEN = "s3cr3t-t0k3n"


@pytest.mark.parametrize(
    ("offered", "answer"),
    [
        (("bearer", TOKEN), "bearer"),
        (("BEARER", TOKEN), "BEARER"),
        (("bearer", TOKEN, "v1"), "v1"),
        (("v1", "bearer", TOKEN), "bearer"),
        (("bearer", "v1", "v1"), "v1"),
        (("bearer",), "bearer"),
    ],
)
def test_the_marker_and_the_names_beside_a_token_may_be_chosen(offered: tuple[str, ...], answer: str) -> None:
    assert accept_event(answer, None, offered).get("subprotocol") == answer


@pytest.mark.parametrize(
    ("offered", "answer"),
    [
        (("bearer", TOKEN), TOKEN),
        (("v1", "Bearer", TOKEN), TOKEN),
        (("bearer", TOKEN), "v1"),
        (("bearer", TOKEN), TOKEN.upper()),
        (("bearer", "v1"), "v1"),
    ],
)
def test_a_token_is_never_echoed_or_shown_in_an_error(offered: tuple[str, ...], answer: str) -> None:
    event: Event = {"type": "websocket.accept", "subprotocol": answer}
    for attempt in (lambda: accept_event(answer, None, offered), lambda: check_event(event, offered)):
        with pytest.raises(InvalidHandshake, match="subprotocol: expected") as caught:
            attempt()
        assert TOKEN not in str(caught.value) + repr(caught.value) + repr(caught.value.args)


@pytest.mark.parametrize(
    ("event", "replacement"),
    [
        ({"type": "websocket.close", "code": 1011, "reason": "a"}, (4011, "a")),
        ({"type": "websocket.close", "code": 1001}, (4001, None)),
        ({"type": "websocket.close", "code": 1000}, None),
        ({"type": "websocket.close"}, None),
        ({"type": "websocket.close", "code": 3000}, None),
        ({"type": "websocket.send", "text": "a"}, None),
    ],
)
def test_a_code_that_a_server_may_refuse_has_a_private_replacement(
    event: Event, replacement: tuple[int, str | None] | None
) -> None:
    close = private_range_close(event)
    assert (close and (close.get("code"), close.get("reason"))) == replacement
