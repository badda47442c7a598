"""The job of an app, in the first shard."""

from __future__ import annotations

from tim.job import Job, search_as_text, search_of_text, summary
from tim.store.redis.connection import Connection
from tim.store.redis.decode import fields_of, seconds, us
from tim.store.redis.scripts import Scripts
from tim.store.redis.shards import key


class Jobs:
    """The verbs of `tim.store.operating.Jobs`."""

    def __init__(self, connection: Connection, scripts: Scripts) -> None:
        self._connection = connection
        self._scripts = scripts

    def find(self, app: int) -> Job | None:
        saved = self._connection.command(0, "HGETALL", key(0, "job", app))
        return _job_of(fields_of(saved)) if saved else None

    def start(self, app: int, job: Job) -> Job:
        fields = {"kind": job.kind, "actor": job.actor, "words": job.words, "where": search_as_text(job.where)}
        fields |= {"limit": str(job.limit), "total": str(job.total), "summary": summary(job)}
        flat = (word for pair in fields.items() for word in pair)
        [runs] = self._scripts.call(0, "start_job", app, job.id, *flat)
        return _job_of(fields_of(runs))

    def take(self, app: int, node: str, lease: float) -> Job | None:
        return self._called("take_job", app, node, us(lease))

    def save(self, app: int, job: Job, node: str, lease: float) -> Job | None:
        return self._called("save_job", app, job.id, node, us(lease), job.ended, job.after, job.state)

    def stop(self, app: int, id: str, actor: str) -> Job | None:
        return self._called("stop_job", app, id, actor)

    def _called(self, verb: str, *words: str | float) -> Job | None:
        [flat] = self._scripts.call(0, verb, *words)
        return _job_of(fields_of(flat)) if flat else None


def _job_of(of: dict[str, str]) -> Job:
    """The job in the fields of its hash."""
    return Job(
        id=of["id"],
        kind=of["kind"],
        actor=of["actor"],
        words=of["words"],
        where=search_of_text(of["where"]),
        limit=int(of["limit"]),
        total=int(of["total"]),
        started_at=seconds(of["started_at"]),
        ended=int(of["ended"]),
        after=of["after"],
        state=of["state"],
        closed_at=seconds(of.get("closed_at", "0")),
        stopped_by=of.get("stopped_by", ""),
    )
