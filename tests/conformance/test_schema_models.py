"""The models that `datamodel-code-generator` makes of the documents: they import, and round-trip the examples."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import TypeAdapter

from tests.conformance.schemas import hard_app
from typedws.schema import text_of

SCHEMAS = Path(__file__).parents[2] / "schemas"
DOCUMENTS = sorted(SCHEMAS.glob("*.json"))


def generated(document: Path, folder: Path) -> ModuleType:
    """Generate the models of a document, import them, and return their module."""
    module = folder / "models.py"
    kind = "asyncapi" if document.name.endswith(".asyncapi.json") else "jsonschema"
    options = ["--input-file-type", kind, "--output-model-type", "pydantic_v2.BaseModel", "--disable-timestamp"]
    # Warnings are ignored: it warns of changes in its next version.
    command = [sys.executable, "-W", "ignore", "-m", "datamodel_code_generator", "--formatters", "builtin", *options]
    done = subprocess.run(
        [*command, "--input", str(document), "--output", str(module)],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    spec = importlib.util.spec_from_file_location(module.stem, module)
    assert spec is not None
    assert spec.loader is not None
    models = importlib.util.module_from_spec(spec)
    sys.modules[module.stem] = models
    spec.loader.exec_module(models)
    return models


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_models_of_the_examples_import(document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "models", raising=False)
    models = generated(document, tmp_path)
    content = json.loads(document.read_text(encoding="utf-8"))
    names: dict[str, Any] = (
        content.get("components", {}).get("schemas") or content.get("$defs") or {content["title"]: {}}
    )
    assert all(hasattr(models, name) for name in names)


def messages(document: Any) -> Iterator[tuple[str, Any]]:
    """Yield every example of a document, with the name of its schema."""
    for channel in document["channels"].values():
        for message in channel["messages"].values():
            for example in message.get("examples", []):
                if (ref := message["payload"].get("$ref")) is not None:
                    yield str(ref).rpartition("/")[2], example["payload"]


def test_models_of_the_hard_application_round_trip_its_examples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "models", raising=False)
    document = hard_app().asyncapi()
    path = tmp_path / "hard.asyncapi.json"
    path.write_text(text_of(document), encoding="utf-8")
    models = generated(path, tmp_path)
    count = 0
    for name, example in messages(document):
        model = getattr(models, "".join(part[:1].upper() + part[1:] for part in name.replace("-", "_").split("_")))
        adapter: TypeAdapter[Any] = TypeAdapter(model)
        assert json.loads(adapter.dump_json(adapter.validate_python(example), by_alias=True)) == example
        count += 1
    assert count > 40
