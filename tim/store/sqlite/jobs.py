"""The table of jobs: the newest one of each app."""

from __future__ import annotations

from dataclasses import replace

from tim.audit import JOB, Entry
from tim.job import FINISHED, RUNNING, STOPPED, Job, search_as_text, search_of_text, summary
from tim.store.sqlite import audit
from tim.store.sqlite.database import Database


class Jobs:
    """The verbs of `tim.store.operating.Jobs`."""

    def __init__(self, database: Database) -> None:
        self._db = database.connection
        self._transaction, self._reading = database.transaction, database.reading

    def find(self, app: int) -> Job | None:
        with self._reading():
            return self._newest(app)

    def start(self, app: int, job: Job) -> Job:
        with self._transaction() as now:
            newest = self._newest(app)
            if newest is not None and (newest.id == job.id or newest.state == RUNNING):
                return newest
            started = replace(job, started_at=now, ended=0, after="", state=RUNNING, closed_at=0, stopped_by="")
            self._db.execute(
                "INSERT OR REPLACE INTO jobs (app, id, kind, actor, words, search, seats, total, started_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (app, job.id, job.kind, job.actor, job.words, search_as_text(job.where), job.limit, job.total, now),
            )
            self._write(app, started, "started", job.actor, now)
            return started

    def take(self, app: int, node: str, lease: float) -> Job | None:
        with self._transaction() as now:
            # A lease that ends too late dates from before the clock was set back.
            taken = self._db.execute(
                "UPDATE jobs SET node = ?, lease_ends = ? WHERE app = ? AND state = ?"
                " AND (node = ? OR lease_ends <= ? OR lease_ends > ?)",
                (node, now + lease, app, RUNNING, node, now, now + lease),
            )
            return self._newest(app) if taken.rowcount else None

    def save(self, app: int, job: Job, node: str, lease: float) -> Job | None:
        with self._transaction() as now:
            saved = self._db.execute(
                "UPDATE jobs SET lease_ends = ?, ended = ?, place = ?, state = ?, closed_at = ?"
                " WHERE app = ? AND id = ? AND state = ? AND node = ?",
                (now + lease, job.ended, job.after, job.state, now if job.state == FINISHED else 0,
                 app, job.id, RUNNING, node),
            )  # fmt: skip
            if saved.rowcount and job.state == FINISHED:
                self._write(app, job, FINISHED, job.actor, now)
            return self._newest(app) if saved.rowcount else None

    def stop(self, app: int, id: str, actor: str) -> Job | None:
        with self._transaction() as now:
            stopped = self._db.execute(
                "UPDATE jobs SET state = ?, stopped_by = ?, closed_at = ? WHERE app = ? AND id = ? AND state = ?",
                (STOPPED, actor, now, app, id, RUNNING),
            )
            newest = self._newest(app)
            if newest is not None and stopped.rowcount:
                self._write(app, newest, STOPPED, actor, now)
            return newest

    def _write(self, app: int, job: Job, code: str, actor: str, now: float) -> None:
        audit.write(self._db, app, Entry("", now, JOB, code=code, words=summary(job), actor=actor), now)

    def _newest(self, app: int) -> Job | None:
        row = self._db.execute("SELECT * FROM jobs WHERE app = ?", (app,)).fetchone()
        if row is None:
            return None
        return Job(
            id=row["id"],
            kind=row["kind"],
            actor=row["actor"],
            words=row["words"],
            where=search_of_text(row["search"]),
            limit=row["seats"],
            total=row["total"],
            started_at=row["started_at"],
            ended=row["ended"],
            after=row["place"],
            state=row["state"],
            closed_at=row["closed_at"],
            stopped_by=row["stopped_by"],
        )
