"""Every name in a public signature is exported by a public module. Read from the annotations themselves."""

import ast
from collections.abc import Iterator
from pathlib import Path

import typedws

PACKAGE = Path(typedws.__file__).parent
DOORS = (
    "asgi client close_codes codecs exceptions routing schema testing websockets testing.pytest_plugin "
    "integrations.django integrations.fastapi integrations.litestar integrations.quart"
).split()
"""The public modules beside ``typedws`` itself."""
FRONT_DOOR = ""

Origin = tuple[str, str]
"""The module that defines a name, and the name."""


def parsed() -> dict[str, ast.Module]:
    modules: dict[str, ast.Module] = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        modules[".".join(part for part in parts if part != "__init__")] = ast.parse(path.read_text())
    return modules


MODULES = parsed()


def imported(module: ast.Module) -> dict[str, Origin]:
    return {
        alias.asname or alias.name: (node.module.partition(".")[2], alias.name)
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "typedws"
        for alias in node.names
    }


def defined(module: ast.Module) -> dict[str, ast.stmt]:
    names: dict[str, ast.stmt] = {}
    for node in module.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names[node.name] = node
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names[node.target.id] = node
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            names[node.targets[0].id] = node
    return names


IMPORTED = {name: imported(module) for name, module in MODULES.items()}
DEFINED = {name: defined(module) for name, module in MODULES.items()}


def origin_of(module: str, name: str) -> Origin:
    while name in IMPORTED[module]:
        module, name = IMPORTED[module][name]
    return module, name


def exports() -> set[Origin]:
    found: set[Origin] = set()
    for door in (FRONT_DOOR, *DOORS):
        [names] = [
            node.value
            for node in MODULES[door].body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        ]
        found |= {origin_of(door, str(name)) for name in ast.literal_eval(names)}
    return found


EXPORTED = exports()


def names_in(annotation: ast.expr) -> Iterator[str]:
    for node in ast.walk(annotation):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "[" in node.value:
            yield from names_in(ast.parse(node.value, mode="eval").body)


def is_public(name: str) -> bool:
    return not name.startswith("_") or name.endswith("__")


def is_type_variable(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and "TypeVar" in ast.unparse(node.value).partition("(")[0]


def missing_in(module: str, annotation: ast.expr | None) -> Iterator[Origin]:
    """Yield the names in an annotation that are typedws' own and exported nowhere."""
    for name in () if annotation is None else names_in(annotation):
        origin = origin_of(module, name)
        node = DEFINED.get(origin[0], {}).get(origin[1])
        if node is not None and origin not in EXPORTED and not is_type_variable(node):
            yield origin


def missing_in_function(module: str, function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Origin]:
    is_abstract = "abstractmethod" in map(ast.unparse, function.decorator_list)
    if is_abstract and function.name == "__init__":  # it cannot be called from outside
        return
    arguments = function.args
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg):
        yield from missing_in(module, None if argument is None else argument.annotation)
    yield from missing_in(module, function.returns)
    if function.name == "__init__":
        for node in ast.walk(function):
            if (
                isinstance(node, ast.AnnAssign)
                and isinstance(node.target, ast.Attribute)
                and is_public(node.target.attr)
            ):
                yield from missing_in(module, node.annotation)


def missing_in_class(module: str, class_: ast.ClassDef) -> Iterator[Origin]:
    """Yield what is missing in the public members of a class, and in those that it inherits from private classes."""
    for base in class_.bases:
        for name in names_in(base):
            origin = origin_of(module, name)
            node = DEFINED.get(origin[0], {}).get(origin[1])
            if isinstance(node, ast.ClassDef) and origin not in EXPORTED:
                yield from missing_in_class(origin[0], node)
    for node in class_.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if is_public(node.name):
                yield from missing_in_function(module, node)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and is_public(node.target.id):
            yield from missing_in(module, node.annotation)


def missing_in_signature(module: str, name: str) -> Iterator[Origin]:
    node = DEFINED.get(module, {}).get(name)
    if isinstance(node, ast.ClassDef):
        yield from missing_in_class(module, node)
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield from missing_in_function(module, node)
    elif isinstance(node, ast.AnnAssign):
        yield from missing_in(module, node.value if "TypeAlias" in ast.unparse(node.annotation) else node.annotation)


def test_every_name_in_a_public_signature_is_exported() -> None:
    missing = {
        f"{'.'.join(origin)} in {module}.{name}"
        for module, name in EXPORTED
        for origin in missing_in_signature(module, name)
    }
    assert sorted(missing) == []
