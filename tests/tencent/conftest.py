"""Fixtures for the vendor's SDK: the site it is on, its pages, and accounts that no other test has."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import pytest

from tests.support.administrator import Administrator
from tests.support.proxy import Proxy
from tests.support.sdk_page import SDKPage
from tests.support.sdk_site import NODE_MODULES, SDK, SDKS, Site
from tests.support.server import Server
from tests.web.conftest import (  # noqa: F401 - fixtures
    NewWindow,
    make_proxy,
    make_server,
    new_window,
    roomy,
    server,
    shared_servers,
    windows,
)

OpenPage = Callable[..., SDKPage]
Account = Callable[[str], str]


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """As in `tests/web`, in greenlets: so the vendor's SDK meets the sockets that it has in production."""
    yield from shared_servers(tmp_path_factory, gevent=True)


@pytest.fixture(scope="session")
def site(not_quick: None) -> Iterator[Site]:
    missing = [str(sdk) for sdk in SDKS if not (NODE_MODULES / sdk.file).is_file()]
    assert not missing, f"{missing} are not in {NODE_MODULES}: run tests/run, or set TIM_NODE_MODULES"
    made = Site()
    yield made
    made.close()


@pytest.fixture(params=SDKS, ids=str)
def sdk(request: pytest.FixtureRequest) -> SDK:
    """Each of the vendor's packages."""
    chosen: SDK = request.param
    return chosen


@pytest.fixture
def open_page(new_window: NewWindow, site: Site, server: Server) -> OpenPage:  # noqa: F811
    """`open_page(sdk)`: a page of the application, not logged in."""
    window = new_window()

    def make(sdk: SDK, on: Server | None = None, through: Proxy | None = None) -> SDKPage:
        return SDKPage(window, site, sdk, on or server, through.port if through else None)

    return make


@pytest.fixture
def account() -> Account:
    """`account("alice")`: the UserID of somebody no other test knows."""
    return lambda name: f"{name}-{secrets.token_hex(4)}"


@pytest.fixture
def admin(server: Server) -> Administrator:  # noqa: F811
    """Who may call the REST API of `server`."""
    return Administrator(server)
