"""What is inside a backend, for the tests that look at its store or make one of its parts fail."""

from __future__ import annotations

from tim import Backend
from tim.hub import Hub
from tim.node import Node
from tim.store.base import Store


def store_of(backend: Backend) -> Store:
    """The store of the backend, below what times its calls."""
    store: Store = vars(vars(backend)["_store"])["_store"]
    return store


def hub_of(backend: Backend) -> Hub:
    """The open streams of the backend."""
    hub: Hub = vars(backend)["_hub"]
    return hub


def node_of(backend: Backend) -> Node:
    """The node that the backend is."""
    node: Node = vars(backend)["_node"]
    return node
