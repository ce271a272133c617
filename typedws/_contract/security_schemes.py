"""How a client authenticates, as AsyncAPI describes it, for documents only: the handler has to check it."""

from typing import Literal, TypedDict

__all__ = ["SecurityScheme"]

# Functional syntax: `in` is a keyword of Python, so no attribute of a class can have this name.
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

    type: Literal[
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
