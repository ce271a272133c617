"""Documents of contracts and applications: JSON Schema and AsyncAPI. Pure functions: no I/O here."""

from typedws._schema.traversal import Schema
from typedws.schema.asyncapi import CONTENT_TYPE, Info, asyncapi_document
from typedws.schema.channels import Channel
from typedws.schema.contracts import COMMENT, contract_document, model_document
from typedws.schema.rendering import text_of

__all__ = [
    "COMMENT",
    "CONTENT_TYPE",
    "Channel",
    "Info",
    "Schema",
    "asyncapi_document",
    "contract_document",
    "model_document",
    "text_of",
]
