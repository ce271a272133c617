"""Documents of contracts and applications: JSON Schema and AsyncAPI. Pure: nothing is read, written or served here."""

from typedws.schema.contracts import contract_document, model_document
from typedws.schema.text import text_of

__all__ = ["contract_document", "model_document", "text_of"]
