"""UserSig: the vendor's generator is the oracle, and nothing but a whole, fresh, own ticket opens an account."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import string
import zlib
from types import SimpleNamespace
from typing import Any

import pytest
import TLSSigAPIv2
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.actors import APP
from tim.errors import UserSigRefused
from tim.usersig import MAX_SIZE, make, verify

KEY = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e"
NOW = 1_750_000_000
ALPHABET = string.ascii_letters + string.digits + "*-_"
FOREIGN = "+/=., \n\0%é😀"
USER_IDS = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=32)


def vendor() -> Any:
    return TLSSigAPIv2.TLSSigAPIv2(APP, KEY)


@pytest.fixture(autouse=True, scope="module")
def _vendor_time() -> Any:
    """The vendor's generator reads the time itself; here it reads ours."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TLSSigAPIv2, "time", SimpleNamespace(time=lambda: NOW))
        yield


def refusal(sig: str, *, key: str = KEY, app: int = APP, user: str = "alice", now: float = NOW) -> int:
    """The code the ticket is refused with; 0 where it is not."""
    try:
        verify(sig, key, app, user, now=now)
    except UserSigRefused as refused:
        return refused.code
    return 0


def pack(data: bytes, level: int = -1) -> str:
    """As the vendor packs a ticket."""
    text: str = TLSSigAPIv2.base64_encode_url(zlib.compress(data, level))
    return text


def unpack(sig: str) -> dict[str, Any]:
    """As the vendor unpacks one."""
    claims: dict[str, Any] = json.loads(zlib.decompress(TLSSigAPIv2.base64_decode_url(sig.encode())))
    return claims


def signature(claims: dict[str, Any], key: str = KEY) -> str:
    """What `TLS.sig` has to be, computed from the vendor's description and from nothing of ours."""
    names = ["identifier", "sdkappid", "time", "expire"] + ["userbuf"] * ("TLS.userbuf" in claims)
    lines = "".join(f"TLS.{name}:{claims[f'TLS.{name}']}\n" for name in names)
    return base64.b64encode(hmac.new(key.encode(), lines.encode(), hashlib.sha256).digest()).decode()


def ticket(**other: object) -> str:
    """A ticket as the vendor makes it, except for what is given; signed with the right key."""
    claims: dict[str, Any] = {
        "TLS.ver": "2.0",
        "TLS.identifier": "alice",
        "TLS.sdkappid": APP,
        "TLS.expire": 100,
        "TLS.time": NOW,
    }
    claims |= {f"TLS.{name}": value for name, value in other.items()}
    return pack(json.dumps({"TLS.sig": signature(claims), **claims}).encode())


def without(name: str) -> str:
    """A ticket that lacks one of its parts."""
    return pack(json.dumps({key: value for key, value in unpack(ticket()).items() if key != name}).encode())


# The oracle, both ways


@given(USER_IDS, st.integers(1, 10**9))
def test_what_the_vendor_makes_we_accept(user: str, expire: int) -> None:
    accepted = verify(vendor().gen_sig(user, expire), KEY, APP, user, now=NOW)
    assert (accepted.user_id, accepted.sdk_app_id, accepted.made, accepted.expires) == (user, APP, NOW, NOW + expire)


@given(USER_IDS, st.integers(1, 10**9), st.binary(max_size=500))
def test_what_the_vendor_makes_with_a_userbuf_we_accept(user: str, expire: int, userbuf: bytes) -> None:
    sig = vendor().gen_sig_with_userbuf(user, expire, userbuf)
    assert verify(sig, KEY, APP, user, now=NOW).expires == NOW + expire


@pytest.mark.parametrize("level", range(10))
def test_how_hard_a_generator_compresses_is_its_own_business(level: int) -> None:
    for user in ("a", "alice", "x" * 32):
        packed = pack(zlib.decompress(TLSSigAPIv2.base64_decode_url(vendor().gen_sig(user).encode())), level)
        assert refusal(packed, user=user) == 0


@given(USER_IDS, st.integers(1, 10**9), st.text(string.printable, min_size=1, max_size=80))
def test_what_we_make_verifies_by_the_vendors_rules(user: str, expire: int, key: str) -> None:
    claims = unpack(make(key, APP, user, now=NOW + 0.9, expire=expire))
    assert claims == {
        "TLS.ver": "2.0",
        "TLS.identifier": user,
        "TLS.sdkappid": APP,
        "TLS.time": NOW,
        "TLS.expire": expire,
        "TLS.sig": signature(claims, key),
    }


@given(USER_IDS, st.integers(1, 10**9))
def test_what_we_make_we_accept_to_the_last_second_of_its_life(user: str, expire: int) -> None:
    sig = make(KEY, APP, user, now=NOW, expire=expire)
    assert refusal(sig, user=user, now=NOW + expire - 1) == 0
    assert refusal(sig, user=user, now=NOW + expire) == 70001


# The table of refusals


@pytest.mark.parametrize(
    ("code", "sig"),
    [
        pytest.param(70001, ticket(time=NOW - 101), id="expired a second ago"),
        pytest.param(70001, ticket(time=NOW - 100), id="expires now"),
        pytest.param(70001, ticket(time=NOW + 61), id="dated more than a minute in the future"),
        pytest.param(70002, "", id="empty"),
        pytest.param(70003, "hello", id="not base64"),
        pytest.param(70003, "????", id="foreign characters"),
        pytest.param(70003, ticket()[:-4], id="truncated"),
        pytest.param(70003, ticket()[4:], id="beheaded"),
        pytest.param(70003, ticket() + "\n", id="a line end behind it"),
        pytest.param(70003, " " + ticket(), id="a blank before it"),
        pytest.param(70003, ticket() * 2, id="twice"),
        pytest.param(70003, TLSSigAPIv2.base64_encode_url(b"no zlib stream"), id="bad zlib"),
        pytest.param(70003, pack(b""), id="nothing inside"),
        pytest.param(70003, pack(b"not json"), id="not JSON"),
        pytest.param(70003, pack(b"\xff\xfe"), id="not text"),
        pytest.param(70003, pack(b"[" * 4000), id="nested without end"),
        pytest.param(70003, pack(b"[]"), id="not an object"),
        pytest.param(70003, pack(b"null"), id="nothing as JSON"),
        pytest.param(70003, pack(b'{"TLS.ver": "2.0", "TLS.time": ' + b"9" * 4000 + b"}"), id="an endless number"),
        *(
            pytest.param(70003, without(name), id=f"no {name}")
            for name in ("TLS.ver", "TLS.identifier", "TLS.sdkappid", "TLS.time", "TLS.expire", "TLS.sig")
        ),
        pytest.param(70003, ticket(ver="1.0"), id="another version"),
        pytest.param(70003, ticket(expire="100"), id="a life that is text"),
        pytest.param(70003, ticket(expire=1e2), id="a life that is a fraction"),
        pytest.param(70003, ticket(expire=float("inf")), id="a life without end"),
        pytest.param(70003, ticket(expire=True), id="a life that is true"),
        pytest.param(70001, ticket(expire=0), id="no life"),
        pytest.param(70001, ticket(expire=-1), id="a negative life"),
        pytest.param(70003, ticket(expire=2**60), id="a life longer than any number in JavaScript"),
        pytest.param(70003, ticket(time=None), id="no time"),
        pytest.param(70003, ticket(identifier=["alice"]), id="a list for a name"),
        pytest.param(70003, ticket(userbuf=5), id="a userbuf that is a number"),
        pytest.param(70009, make("another key", APP, "alice", now=NOW), id="another key"),
        pytest.param(70009, ticket(sig=""), id="an empty signature"),
        pytest.param(70009, ticket(sig="\udc80"), id="half a surrogate pair for a signature"),
        pytest.param(70013, ticket(identifier="bob"), id="of somebody else"),
        pytest.param(70013, ticket(identifier="Alice"), id="of somebody spelt otherwise"),
        pytest.param(70014, ticket(sdkappid=APP + 1), id="of another app"),
    ],
)
def test_a_ticket_is_refused_with_the_code_of_the_contract(code: int, sig: str) -> None:
    assert refusal(sig) == code


def test_the_ticket_that_the_table_alters_is_good_before_it_is_altered() -> None:
    assert refusal(ticket()) == 0
    assert refusal(ticket(userbuf="aGVsbG8=")) == 0


def test_a_ticket_that_was_good_before_is_good_for_nothing_else() -> None:
    sig = make(KEY, APP, "alice", now=NOW, expire=60)
    for _ in range(2):
        assert refusal(sig) == 0
        assert refusal(sig, now=NOW + 60) == 70001
        assert refusal(sig, key=KEY[::-1]) == 70009
        assert refusal(sig, user="bob") == 70013
        assert refusal(sig, app=APP + 1) == 70014


@pytest.mark.parametrize("name", ["TLS.identifier", "TLS.sdkappid", "TLS.time", "TLS.expire", "TLS.userbuf"])
def test_everything_the_signature_covers_is_covered(name: str) -> None:
    claims = unpack(ticket(userbuf="aGVsbG8="))
    claims[name] = claims[name] + (1 if isinstance(claims[name], int) else "x")
    sig = pack(json.dumps(claims).encode())
    assert refusal(sig, app=claims["TLS.sdkappid"], user=claims["TLS.identifier"]) == 70009


def test_a_userbuf_that_was_taken_away_or_added_breaks_the_signature() -> None:
    bare = unpack(ticket(userbuf="aGVsbG8="))
    del bare["TLS.userbuf"]
    assert refusal(pack(json.dumps(bare).encode())) == 70009
    assert refusal(pack(json.dumps(unpack(ticket()) | {"TLS.userbuf": "aGVsbG8="}).encode())) == 70009


@given(st.floats(0, 60))
def test_a_makers_clock_may_be_up_to_a_minute_ahead(lead: float) -> None:
    assert refusal(ticket(), now=NOW - lead) == 0


@given(st.floats(60.001, 10**9))
def test_a_ticket_from_further_in_the_future_is_refused(lead: float) -> None:
    assert refusal(ticket(), now=NOW - lead) == 70001


# Bounds


def padded(size: int) -> bytes:
    """The JSON text of a good ticket, of so many bytes."""
    claims = unpack(ticket(userbuf=""))
    length = size - len(json.dumps(claims))
    return zlib.decompress(TLSSigAPIv2.base64_decode_url(ticket(userbuf="A" * length).encode()))


def test_a_ticket_may_inflate_to_four_kibibytes_and_no_further() -> None:
    assert len(padded(MAX_SIZE)) == MAX_SIZE
    assert refusal(pack(padded(MAX_SIZE - 1))) == 0
    assert refusal(pack(padded(MAX_SIZE))) == 0
    assert refusal(pack(padded(MAX_SIZE + 1))) == 70003


def test_a_string_of_more_than_four_kibibytes_is_refused_before_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    def parsed(*_: object, **__: object) -> bytes:
        raise AssertionError("it was parsed")

    monkeypatch.setattr(base64, "b64decode", parsed)
    assert refusal("A" * (MAX_SIZE + 1)) == 70003
    with pytest.raises(AssertionError, match="it was parsed"):
        refusal("A" * MAX_SIZE)


def test_a_bomb_is_never_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = zlib.compress(b" " * 2_500_000, 9)
    assert len(TLSSigAPIv2.base64_encode_url(bomb)) <= MAX_SIZE, "small enough to be looked at"
    made: list[int] = []
    inflater = zlib.decompressobj

    def watched() -> object:
        inner = inflater()

        def decompress(data: bytes, most: int = 0) -> bytes:
            text = inner.decompress(data, most)
            made.append(len(text))
            return text

        return SimpleNamespace(decompress=decompress, eof=False, unused_data=b"")

    monkeypatch.setattr(zlib, "decompressobj", watched)
    assert refusal(TLSSigAPIv2.base64_encode_url(bomb)) == 70003
    assert made
    assert sum(made) <= 2 * MAX_SIZE


# Alterations


def real_tickets(number: int) -> list[tuple[str, str]]:
    """Tickets as they occur, with their UserIDs; the same ones in each run."""
    chance = random.Random(20240131)
    found = []
    for each in range(number):
        user = "".join(chance.choices(ALPHABET[:62], k=chance.randint(1, 32)))
        if each % 3:
            found.append((user, make(KEY, APP, user, now=NOW - each % 90, expire=chance.randint(100, 10**7))))
        else:
            found.append((user, vendor().gen_sig_with_userbuf(user, 10**6, chance.randbytes(each % 50))))
    return found


STRATEGIES = (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED)


def test_how_a_ticket_is_packed_does_not_matter() -> None:
    text = json.dumps(unpack(ticket()))
    spaced = text.replace(": ", " : ").replace(", ", " ,\n")
    for data in (text.encode(), spaced.encode(), text.replace(" ", "").encode()):
        for level in range(10):
            for window in range(9, 16):
                for strategy in STRATEGIES:
                    packer = zlib.compressobj(level, zlib.DEFLATED, window, 8, strategy)
                    packed = packer.compress(data) + packer.flush()
                    assert refusal(TLSSigAPIv2.base64_encode_url(packed)) == 0, (level, window, strategy)


@pytest.mark.parametrize("header", [b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"])
def test_what_the_header_says_of_the_level_does_not_matter(header: bytes) -> None:
    stream = zlib.compress(json.dumps(unpack(ticket())).encode())[2:]
    assert refusal(TLSSigAPIv2.base64_encode_url(header + stream)) == 0


def claims_of(sig: str, user: str) -> tuple[object, ...] | None:
    """What the ticket says, where it is accepted."""
    try:
        says = verify(sig, KEY, APP, user, now=NOW)
    except UserSigRefused:
        return None
    return (says.user_id, says.sdk_app_id, says.made, says.expires)


def test_an_altered_ticket_says_what_was_signed_or_is_refused(rounds: int) -> None:
    for user, sig in real_tickets(6 * rounds):
        says = claims_of(sig, user)
        assert says is not None
        for position, right in enumerate(sig):
            for wrong in ALPHABET + FOREIGN:
                if wrong != right:
                    altered = sig[:position] + wrong + sig[position + 1 :]
                    assert claims_of(altered, user) in (None, says), f"{user}: {right} at {position} as {wrong}"


def test_a_ticket_with_a_character_more_or_less_says_what_was_signed_or_is_refused(rounds: int) -> None:
    for user, sig in real_tickets(4 * rounds):
        says = claims_of(sig, user)
        for position in range(len(sig) + 1):
            assert claims_of(sig[:position] + sig[position + 1 :], user) in (None, says)
            for more in "A_*-9=":
                altered = sig[:position] + more + sig[position:]
                assert claims_of(altered, user) in (None, says), f"{user}: {more} at {position}"


@given(st.data(), USER_IDS)
def test_a_bit_that_is_flipped_changes_nothing_or_is_refused(data: st.DataObject, user: str) -> None:
    sig = make(KEY, APP, user, now=NOW)
    packed = bytearray(TLSSigAPIv2.base64_decode_url(sig.encode()))
    bit = data.draw(st.integers(0, len(packed) * 8 - 1))
    packed[bit // 8] ^= 1 << bit % 8
    assert claims_of(TLSSigAPIv2.base64_encode_url(bytes(packed)), user) in (None, claims_of(sig, user))


# Whatever comes


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(["ver", "identifier", "sdkappid", "time", "expire", "sig", "userbuf"])


@given(st.text())
@example("\ud800")
@example("A" * 5000)
def test_any_text_is_refused_and_nothing_worse(text: str) -> None:
    assert refusal(text) in (70002, 70003)


@given(st.binary())
def test_any_bytes_in_base64_are_refused_and_nothing_worse(data: bytes) -> None:
    assert refusal(TLSSigAPIv2.base64_encode_url(data)) in (70002, 70003)


@given(st.binary())
def test_any_bytes_deflated_are_refused_and_nothing_worse(data: bytes) -> None:
    assert refusal(pack(data)) == 70003


@given(st.dictionaries(NAMES, JSON))
def test_any_claims_are_refused_and_nothing_worse(claims: dict[str, object]) -> None:
    known = {"TLS.ver": "2.0", "TLS.identifier": "alice", "TLS.sdkappid": APP, "TLS.time": NOW, "TLS.expire": 100}
    odd = known | {"TLS.sig": "x"} | {f"TLS.{name}": value for name, value in claims.items()}
    assert refusal(pack(json.dumps(odd).encode()))
