"""A client of schema registries that speak Confluent's API: Confluent's own, Karapace, Apicurio under /apis/ccompat/v7."""

from pycdc.registry.client import SchemaRegistry, Written
from pycdc.registry.config import RegistryConfig

__all__ = ["RegistryConfig", "SchemaRegistry", "Written"]
