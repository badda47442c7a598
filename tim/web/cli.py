"""`flask tim …`: what an operator does from a shell, on the store and with the key of this server's settings."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import click
from flask import current_app
from flask.cli import AppGroup

from tim import usersig
from tim.app_settings import SavedSettings
from tim.errors import BadParameter, SettingError, StoreUnavailable
from tim.input_rules import check_user_id
from tim.model import AppSettings, Limits
from tim.rules import POLICIES
from tim.store import open_store
from tim.version import VERSION
from tim.web.settings import Settings, read_settings

commands = AppGroup("tim", help="Show and save limits, make a UserSig, print the version.")

DAY = 86400


@commands.command("version")
def version() -> None:
    """Print the version."""
    click.echo(VERSION)


@commands.command("usersig")
@click.argument("user_id")
@click.option("--expire", type=click.IntRange(1), default=7 * DAY, show_default=True, help="Seconds it is valid for.")
def make_usersig(user_id: str, expire: int) -> None:
    """Print a UserSig for USER_ID, signed with the app's key."""
    with _one_line():
        settings = _settings()
        user = check_user_id(user_id)
        click.echo(usersig.make(settings.sdk_secret_key, settings.sdk_app_id, user, now=time.time(), expire=expire))


@commands.command("limits")
@click.option("--online-web-instances", type=int, help="Instances one account may have at a time, 1 to 10.")
@click.option("--failures-per-account", type=int, help="UserSigs that may fail in a minute, of one account.")
@click.option("--failures-per-address", type=int, help="UserSigs that may fail in a minute, from one address.")
@click.option("--messages-a-minute", type=int, help="Messages that one instance may send in a minute.")
@click.option("--policy", type=click.Choice(POLICIES), help="What happens to a login at the limit.")
def limits(policy: str | None, **changes: int | None) -> None:
    """Show what the app allows. With an option, save it first; every node applies it within a second."""
    with _one_line():
        settings = _settings()
        wanted = {name: value for name, value in changes.items() if value is not None}
        with closing(open_store(settings.store, grace=settings.detach_grace, clock=time.time)) as store:
            saved = SavedSettings(store, settings.sdk_app_id, AppSettings(Limits(settings.online_web_instances)), 0)
            now = saved.now()
            if wanted or policy:
                now = saved.change(
                    lambda newest: replace(
                        newest, limits=replace(newest.limits, **wanted), policy=policy or newest.policy
                    ),
                    "flask tim",
                )
    for name, value in (asdict(now.limits) | {"policy": now.policy}).items():
        click.echo(f"{name.replace('_', '-')} {value}")


def _settings() -> Settings:
    return read_settings(current_app.config, Path(current_app.instance_path))


@contextmanager
def _one_line() -> Iterator[None]:
    """Turns an error into one line and exit status 1."""
    try:
        yield
    except (SettingError, StoreUnavailable, BadParameter) as error:
        raise click.ClickException(str(error)) from None
