"""Write the JSON Schemas of this folder, or with ``--check`` say which are stale. ``python -m schemas``"""

import json
import sys
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import TypeAdapter

from examples.chat import ClientMessage, ServerMessage
from typedws import ProblemDocument

FOLDER: Final = Path(__file__).parent


def schema(form: Any, direction: Literal["validation", "serialization"]) -> str:
    """Give a JSON Schema of draft 2020-12: what is heard as it validates, what is said as it serialises."""
    document = TypeAdapter(form).json_schema(mode=direction)
    document["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def documents() -> dict[str, str]:
    """Give every file of this folder, by name."""
    return {
        "chat.client.json": schema(ClientMessage, "validation"),
        "chat.server.json": schema(ServerMessage, "serialization"),
        "problem-document.json": schema(ProblemDocument, "serialization"),
    }


def stale() -> list[str]:
    """Name the files that are missing or differ from the code."""
    return [
        name
        for name, text in documents().items()
        if not (FOLDER / name).exists() or (FOLDER / name).read_text() != text
    ]


def main() -> None:
    """Write, or check."""
    if "--check" in sys.argv[1:]:
        if names := stale():
            sys.exit(f"stale in schemas/: {', '.join(names)}: run make schemas")
        return
    for name, text in documents().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
