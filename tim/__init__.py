"""A login and session service for instant messaging: admits instances of accounts, evicts those over the limit."""

from tim.backend import Backend
from tim.ends import TYPES, Client
from tim.errors import IMError
from tim.events import EVENT, Event
from tim.model import Instance, Limits, Message
from tim.sdk import TIM, IMResponse

__all__ = [
    "EVENT",
    "TIM",
    "TYPES",
    "Backend",
    "Client",
    "Event",
    "IMError",
    "IMResponse",
    "Instance",
    "Limits",
    "Message",
]
