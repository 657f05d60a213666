"""PLACEHOLDER until the validation is merged."""
from pycdc.worker.requests import RequestError


class ConnectorPlugins:
    def __init__(self, worker): self.worker = worker
    def listed(self, *, connectors_only): return []
    def definition(self, plugin, version): raise RequestError(404, f"Unknown plugin {plugin}.")
    async def form(self, plugin, config): return {}
    async def must_be_valid(self, name, config, *, renamed=False):
        if "connector.class" not in config: raise RequestError(400, f"Connector config {config} contains no connector type")
