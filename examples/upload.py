"""File upload: typed messages before and after the content, which comes in binary frames."""

from hashlib import sha256
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, Field

from typedws import App, ApplicationCloseCode, Connection, Policy

MAX_FILE = 10_000_000
MAX_FRAME = 65_536


class Begin(BaseModel):
    type: Literal["begin"] = "begin"
    name: str = Field(max_length=255)
    size: int = Field(ge=0)


class Done(BaseModel):
    type: Literal["done"] = "done"
    sha256: str


class Progress(BaseModel):
    type: Literal["progress"] = "progress"
    received: int
    size: int


class Stored(BaseModel):
    type: Literal["stored"] = "stored"
    name: str
    sha256: str


class UploadClose(ApplicationCloseCode):
    TOO_LARGE = 4001, "the file is too large", "never"
    DAMAGED = 4002, "what came is not what was announced", "backoff"


ClientMessage: TypeAlias = Annotated[Begin | Done, Field(discriminator="type")]
ServerMessage: TypeAlias = Annotated[Progress | Stored, Field(discriminator="type")]
app = App()


@app.websocket("/upload", policy=Policy(max_message_size=MAX_FRAME, idle_timeout=60))
async def upload(ws: Connection[ClientMessage, ServerMessage]) -> None:
    async for begin in ws.iter_models(Begin):  # one file after the other
        if begin.size > MAX_FILE:
            await ws.close(UploadClose.TOO_LARGE)
            return
        digest, received = sha256(), 0
        while received < begin.size:
            content = await ws.receive_bytes()
            digest.update(content)  # and write it where it belongs
            received += len(content)
            await ws.send_model(Progress(received=received, size=begin.size))
        done = await ws.receive_model(Done)
        if received != begin.size or done.sha256 != digest.hexdigest():
            await ws.close(UploadClose.DAMAGED)
            return
        await ws.send_model(Stored(name=begin.name, sha256=done.sha256))
