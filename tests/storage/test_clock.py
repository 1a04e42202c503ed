"""The time of day in logs."""

import re
import time
from datetime import UTC, datetime

from charrnn_cli.storage.clock import utc_now


def test_the_time_is_in_utc() -> None:
    """The time is that of the system's clock in UTC, in whole seconds."""
    before = int(time.time())
    found = utc_now()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found)
    moment = datetime.strptime(found, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    assert before <= moment <= time.time()
