"""`CodecRegistry`: registering and replacing codecs, and importing the codecs of optional libraries at first use."""

import subprocess
import sys
from typing import Any

import pytest

import typedws
from typedws.codecs import BinaryJSON, Codec, CodecRegistry, Mode, TextJSON, registry
from typedws.codecs.base import BinaryCodec
from typedws.exceptions import CodecNotInstalled, TypedWSError, UnknownMode

EXTRAS = {"msgpack": "ormsgpack", "cbor": "cbor2"}


@pytest.fixture
def own() -> CodecRegistry:
    """A copy of the shared registry, which the test may change."""
    return registry.copy()


def test_the_shared_registry_has_the_built_in_codecs() -> None:
    assert list(registry) == ["text", "binary", "msgpack", "cbor"]
    assert isinstance(registry.get("text"), TextJSON)
    assert isinstance(registry.get("binary"), BinaryJSON)
    assert registry is typedws.registry


@pytest.mark.parametrize("mode", ["text", "binary", "msgpack", "cbor"])
def test_a_mode_always_names_the_same_codec(mode: str) -> None:
    codec = registry.get(mode)
    assert registry.get(mode) is codec
    assert codec.kind == ("text" if mode == "text" else "binary")
    assert isinstance(codec, BinaryCodec) == (mode in EXTRAS)


def test_a_new_registry_is_empty() -> None:
    empty = CodecRegistry()
    assert list(empty) == []
    assert "text" not in empty
    with pytest.raises(UnknownMode):
        empty.get("text")


def test_get_returns_a_registered_codec(own: CodecRegistry) -> None:
    codec = TextJSON("mine")
    own.register("mine", codec)
    assert own.get("mine") is codec
    assert "mine" in own
    assert list(own) == ["text", "binary", "msgpack", "cbor", "mine"]


def test_registering_a_mode_twice_raises(own: CodecRegistry) -> None:
    codec = own.get("text")
    for mode in ("text", "cbor"):
        with pytest.raises(ValueError, match=f"the mode '{mode}' is registered already: pass replace=True"):
            own.register(mode, TextJSON())
    assert own.get("text") is codec


def test_a_codec_can_be_replaced(own: CodecRegistry) -> None:
    codec = BinaryJSON()
    own.register("text", codec, replace=True)
    own.register("msgpack", codec, replace=True)
    own.register("new", codec, replace=True)
    assert own.get("text") is own.get("msgpack") is own.get("new") is codec
    assert list(own) == ["text", "binary", "msgpack", "cbor", "new"]


def test_a_codec_is_a_mode(own: CodecRegistry) -> None:
    for codec in (TextJSON(), BinaryJSON()):
        assert own.get(codec) is codec
        assert CodecRegistry().get(codec) is codec
    assert list(own) == list(registry)


@pytest.mark.parametrize("mode", ["", "TEXT", "json", "bytes"])
def test_an_unknown_mode_raises_with_the_known_modes(mode: str) -> None:
    with pytest.raises(UnknownMode) as caught:
        registry.get(mode)
    assert str(caught.value) == (
        f'The "mode" argument should be one of "text", "binary", "msgpack", "cbor", found {mode!r}: '
        "register a codec of that name"
    )
    assert isinstance(caught.value, RuntimeError)
    assert isinstance(caught.value, TypedWSError)
    assert not isinstance(caught.value, CodecNotInstalled)
    assert (caught.value.mode, caught.value.known) == (mode, ("text", "binary", "msgpack", "cbor"))
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("mode", [None, 1, TextJSON, ("text",)])
def test_a_value_that_is_not_a_mode_raises_unknown_mode(mode: Any) -> None:
    with pytest.raises(UnknownMode):
        registry.get(mode)
    assert mode not in registry


def test_a_copy_is_independent(own: CodecRegistry) -> None:
    codec = TextJSON()
    own.register("mine", codec)
    own.register("text", codec, replace=True)
    assert "mine" not in registry
    assert registry.get("text") is not codec
    copy = own.copy()
    own.register("later", codec)
    copy.register("elsewhere", codec)
    assert copy.get("mine") is codec
    assert "later" not in copy
    assert "elsewhere" not in own
    assert isinstance(copy, CodecRegistry)


def test_a_copy_has_the_same_codecs(own: CodecRegistry) -> None:
    assert all(own.get(mode) is registry.get(mode) for mode in ("text", "binary"))


def test_an_extra_is_imported_at_its_first_use(own: CodecRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "typedws.codecs.msgpack", raising=False)
    own.register_extra("packed", "typedws.codecs.msgpack:MessagePack", extra="msgpack")
    assert "packed" in own
    assert "packed" in list(own)
    assert "typedws.codecs.msgpack" not in sys.modules
    codec = own.get("packed")
    assert type(codec).__name__ == "MessagePack"
    assert "typedws.codecs.msgpack" in sys.modules
    assert own.get("packed") is codec


@pytest.mark.parametrize(("mode", "library"), EXTRAS.items())
def test_a_missing_library_raises_with_the_extra_that_installs_it(
    own: CodecRegistry, monkeypatch: pytest.MonkeyPatch, mode: str, library: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, f"typedws.codecs.{mode}", raising=False)
    own.register_extra(
        mode, f"typedws.codecs.{mode}:{'MessagePack' if mode == 'msgpack' else 'CBOR'}", extra=mode, replace=True
    )
    for _ in range(2):
        with pytest.raises(CodecNotInstalled) as caught:
            own.get(mode)
        assert str(caught.value) == f'The mode "{mode}" needs an optional library: install typedws[{mode}]'
        assert isinstance(caught.value, UnknownMode)
        assert isinstance(caught.value.__cause__, ImportError)
        assert (caught.value.mode, caught.value.extra, caught.value.known) == (mode, mode, ())
    assert mode in own
    monkeypatch.undo()
    assert own.get(mode).name == mode  # the library is installed by now


def test_an_extra_of_another_package_is_named_in_the_error(own: CodecRegistry) -> None:
    own.register_extra("yaml", "typedws_yaml_that_is_not_there:YAML", extra="yaml")
    with pytest.raises(CodecNotInstalled, match=r"install typedws\[yaml\]"):
        own.get("yaml")


def test_a_path_to_a_missing_class_raises_attribute_error(own: CodecRegistry) -> None:
    own.register_extra("none", "typedws.codecs.json:NoSuchCodec", extra="none")
    with pytest.raises(AttributeError, match="NoSuchCodec"):
        own.get("none")


def test_an_extra_can_replace_a_codec(own: CodecRegistry) -> None:
    own.register_extra("text", "typedws.codecs.msgpack:MessagePack", extra="msgpack", replace=True)
    assert own.get("text").name == "msgpack"
    assert list(own) == list(registry)


def _imports(statements: str) -> str:
    code = f"{statements}\nimport sys; print(*(name for name in ('ormsgpack', 'cbor2') if name in sys.modules))"
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize(
    ("statements", "imported"),
    [
        ("import typedws", ""),
        ("from typedws import registry; list(registry), registry.get('text'), 'cbor' in registry.copy()", ""),
        ("from typedws import registry; registry.get('cbor')", "cbor2"),
        ("from typedws import registry; registry.get('msgpack')", "ormsgpack"),
    ],
)
def test_no_extra_is_imported_before_its_first_use(statements: str, imported: str) -> None:
    assert _imports(statements) == imported


def test_modes_are_names_or_codecs() -> None:
    modes: list[Mode] = ["text", TextJSON(), BinaryJSON()]
    assert [registry.get(mode).kind for mode in modes] == ["text", "text", "binary"]
    assert all(isinstance(registry.get(mode), Codec) for mode in modes)
