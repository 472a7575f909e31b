"""Redis, which counts for all processes together, and goes away."""

import time
from pathlib import Path

from tests.faults.load import Load
from tests.faults.probes import RECOVERY_SECONDS, assert_nothing_unexpected
from tests.support.figures import Figures
from tests.support.servers.redis import RedisServer
from tests.support.service import free_port, running_service
from tests.support.waiting import until


def test_redis_gone_and_silent_costs_no_request(database: str, tmp_path: Path, figures: Figures) -> None:
    redis = RedisServer(tmp_path, free_port())
    redis.start()
    try:
        with running_service(
            tmp_path, DATABASE_URL=database, REDIS_URL=redis.url, RATE_LIMIT="1000000/minute"
        ) as service:
            load = Load(service)
            with load.running():
                load.goes_on()
                redis.kill()
                load.goes_on(300)
                assert "rate_limit_redis_down 1.0" in service.client().get("/metrics").text
                redis.start()
                recovery = until(
                    lambda: "rate_limit_redis_down 0.0" in service.client().get("/metrics").text, RECOVERY_SECONDS
                )
                load.goes_on()
                with redis.frozen():
                    frozen_at = time.monotonic()
                    load.goes_on(300)
                load.goes_on()
            assert load.count(503) == 0
            # While it was silent, one wait for it and no more.
            slow = [one for one in load.attempts if one.ended_at - one.started_at > 1 and one.started_at > frozen_at]
            assert slow == []
            load.record(figures, "Redis killed, started again, and frozen", recovery_seconds=recovery)
            assert_nothing_unexpected(service)
    finally:
        redis.kill()
