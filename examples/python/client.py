"""The one place that knows where the broker is."""

import os

BOOTSTRAP = os.environ.get("OTTLA_BOOTSTRAP", "127.0.0.1:9092")
TOPIC = "rider-updates"
