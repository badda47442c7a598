"""The product with the `Timing` that the environment of a test asks for."""

from __future__ import annotations

import json
import os

from app import create_app
from tim.timing import Timing

app = create_app(Timing(**json.loads(os.environ["QUICK_TIMING"])))
