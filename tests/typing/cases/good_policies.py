"""Policies, and the exceptions that end a handler: every value that each field accepts."""

import re
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Never, assert_type

import fastapi
import starlette.exceptions
from tests.typing.cases.messages import ChatConnection, Join, Said, ServerMessage
from typedws import App, CloseCode, Connection, HTTPException, InvalidMessage, Policy, WebSocketException
from typedws._endpoint.policy import OnInvalid


async def answer(ws: Connection[Any, Any, Any], error: InvalidMessage) -> None:
    await ws.send_model(Said(text=error.problem))


async def answer_any(ws: Connection, error: InvalidMessage) -> None:
    await ws.close(error.close_code)


async def answer_in_general(ws: Connection[object, Any], error: Exception) -> None:
    print(ws, error)


class Strikes:
    async def __call__(self, ws: Connection[Any, ServerMessage], error: InvalidMessage) -> None:
        await ws.send_model(Said(text="no"))

    async def strike(self, ws: Connection[Any, Any, Any], error: InvalidMessage) -> Never:
        raise WebSocketException(CloseCode.POLICY_VIOLATION, str(error))


def every_field() -> None:
    Policy()
    Policy(origins="same-host")
    Policy(origins="*")
    Policy(origins=["https://app.example.com"], hosts=["chat.example.com", "*.example.org"])
    Policy(origins=("https://app.example.com", "null"), hosts=None)
    Policy(origins=re.compile(r"https://[^.]+\.example\.com"))
    Policy(on_invalid="close")
    Policy(on_invalid="reply", max_invalid=3)
    Policy(on_invalid="drop")
    Policy(on_invalid=answer)
    Policy(on_invalid=answer_any)
    Policy(on_invalid=answer_in_general)
    Policy(on_invalid=Strikes())
    Policy(on_invalid=Strikes().strike)
    Policy(max_message_size=65_536, max_connections=1_000)
    Policy(max_message_size=None, max_connections=None)
    Policy(handshake_timeout=5, idle_timeout=60.0, send_timeout=None)
    Policy(handshake_timeout=None, idle_timeout=None, send_timeout=2.5)


def one_of_another(policy: Policy) -> None:
    assert_type(replace(policy, idle_timeout=60), Policy)
    assert_type(policy.on_invalid, OnInvalid)
    assert_type(policy.max_invalid, int)
    assert_type(policy.send_timeout, float | None)
    assert_type(App(policy=policy).policy, Policy)
    assert {policy: 1} == {policy: 1}


async def ends_by_an_exception(ws: ChatConnection) -> None:
    match await ws.receive_model(Join):
        case Join(room="attic"):
            raise WebSocketException(4001)
        case Join(room="cellar"):
            raise WebSocketException(code=CloseCode.POLICY_VIOLATION, reason="not there")
        case Join(room="roof"):
            raise HTTPException(403)
        case Join(room="garden"):
            raise HTTPException(HTTPStatus.FORBIDDEN, "not there", {"retry-after": "1"})
        case Join(room="yard"):
            raise HTTPException(status_code=403, detail=None, headers=None)
        case Join(room="shed"):
            raise starlette.exceptions.WebSocketException(1008)
        case _:
            raise fastapi.HTTPException(403)


def what_they_hold(error: HTTPException, other: WebSocketException) -> None:
    assert_type(error.status_code, int)
    assert_type(error.detail, str)
    assert_type(other.code, int)
    assert_type(other.reason, str)
