"""How a client proves who it is, in AsyncAPI's words, for documents. Nothing is checked here: the handler does that."""

from typing import Literal, TypeAlias, TypedDict

__all__ = ["SecurityScheme"]

_Kind: TypeAlias = Literal[
    "userPassword",
    "apiKey",
    "X509",
    "symmetricEncryption",
    "asymmetricEncryption",
    "httpApiKey",
    "http",
    "oauth2",
    "openIdConnect",
    "plain",
    "scramSha256",
    "scramSha512",
    "gssapi",
]


# Functional, for `in` is no name of Python.
_Further = TypedDict(
    "_Further",
    {
        "description": str,
        "name": str,
        "in": Literal["user", "password", "query", "header", "cookie"],
        "scheme": str,
        "bearerFormat": str,
        "flows": dict[str, dict[str, object]],
        "openIdConnectUrl": str,
        "scopes": list[str],
    },
    total=False,
)


class SecurityScheme(_Further):
    """AsyncAPI's Security Scheme Object, such as ``{"type": "http", "scheme": "bearer"}``."""

    type: _Kind
