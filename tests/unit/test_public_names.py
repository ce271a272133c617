"""The public names: exact, sorted, documented, and none of them shadows a module."""

import importlib
import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

import typedws
import typedws.client
import typedws.testing

NAMES = ["typedws", *(info.name for info in pkgutil.walk_packages(typedws.__path__, "typedws."))]
MODULES: list[ModuleType] = [importlib.import_module(name) for name in NAMES]


@pytest.mark.parametrize("module", MODULES, ids=NAMES)
def test_all_is_exact_and_sorted(module: ModuleType) -> None:
    names: list[str] = module.__all__
    assert names == sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    assert [name for name in names if not hasattr(module, name)] == []


def test_the_package_exports_all_of_its_public_names() -> None:
    public = {name for name, value in vars(typedws).items() if not name.startswith("_") and not inspect.ismodule(value)}
    assert public == set(typedws.__all__)


@pytest.mark.parametrize("name", ["typedws", "typedws.client", "typedws.codecs", "typedws.testing"])
def test_no_exported_name_shadows_a_module(name: str) -> None:
    package = importlib.import_module(name)
    assert not {info.name for info in pkgutil.iter_modules(package.__path__)} & set(package.__all__)


def undocumented(owner: object, name: str) -> Iterator[str]:
    if not inspect.getdoc(owner):
        yield name
    if inspect.isclass(owner):
        for part, value in vars(owner).items():
            function = value.fget if isinstance(value, property) else value
            if not part.startswith("_") and inspect.isfunction(function) and not inspect.getdoc(getattr(owner, part)):
                yield f"{name}.{part}"


PUBLIC = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in (typedws, typedws.client, typedws.testing)
    for name in module.__all__
}


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_class_and_method_is_documented(name: str) -> None:
    value = PUBLIC[name]
    if inspect.isclass(value) or inspect.isfunction(value):
        assert list(undocumented(value, name)) == []


def test_importing_the_package_loads_no_framework_and_no_extra() -> None:
    script = "import sys, typedws; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"starlette", "fastapi", "litestar", "uvicorn", "websockets", "ormsgpack", "cbor2", "pytest"} & set(
        loaded
    )
