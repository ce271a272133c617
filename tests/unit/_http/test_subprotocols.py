"""Which subprotocol and which mode are chosen for an offer; a token is never chosen and never shown in an error."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import stable_id
from typedws._http.subprotocols import Offer, choose_subprotocol, read_offer
from typedws.codecs import Mode, TextJSON
from typedws.exceptions import UnknownSubprotocol

TOKEN: Final = "s3cr3t-t0k3n"
JSON: Final = "chat.v1.json"
PACK: Final = "chat.v1.msgpack"
MODES: Final[dict[str, Mode]] = {JSON: "text", PACK: "msgpack"}

OFFERS: Final[list[tuple[tuple[str, ...], Offer]]] = [
    ((), Offer(())),
    ((JSON,), Offer((JSON,))),
    (("bearer", TOKEN), Offer((), "bearer", TOKEN)),
    (("BEARER", TOKEN), Offer((), "BEARER", TOKEN)),
    (("bearer", TOKEN, JSON), Offer((JSON,), "bearer", TOKEN)),
    ((JSON, "bearer", TOKEN), Offer((JSON,), "bearer", TOKEN)),
    ((JSON, "Bearer", TOKEN, PACK), Offer((JSON, PACK), "Bearer", TOKEN)),
    (("bearer", JSON), Offer((), "bearer", JSON)),
    (("bearer", JSON, JSON), Offer((JSON,), "bearer", JSON)),
    (("bearer", "bearer"), Offer((), "bearer", "bearer")),
    (("bearer", "bearer", TOKEN), Offer((TOKEN,), "bearer", "bearer")),
    (("bearer",), Offer(("bearer",))),
    ((JSON, "bearer"), Offer((JSON, "bearer"))),
    (("bearer", TOKEN, "bearer", "other"), Offer(("bearer", "other"), "bearer", TOKEN)),
]


@pytest.mark.parametrize(("offered", "offer"), OFFERS, ids=stable_id)
def test_the_first_token_is_taken_out_of_an_offer(offered: tuple[str, ...], offer: Offer) -> None:
    assert read_offer(offered) == offer


UNKNOWN: Final = None
OWN_CODEC: Final = TextJSON("mine")

CHOICES: Final[list[tuple[tuple[str, ...], dict[str, Mode], tuple[str | None, Mode | None] | None]]] = [
    # no offer: no answer, and no mode
    ((), MODES, (None, None)),
    ((), {}, (None, None)),
    # the client's order of preference counts, not the application's
    ((JSON,), MODES, (JSON, "text")),
    ((PACK, JSON), MODES, (PACK, "msgpack")),
    ((JSON, PACK), MODES, (JSON, "text")),
    ((PACK, PACK), MODES, (PACK, "msgpack")),
    (("other", PACK), MODES, (PACK, "msgpack")),
    (("mine",), {"mine": OWN_CODEC}, ("mine", OWN_CODEC)),
    (("b",), {"a": "text", "b": "text"}, ("b", "text")),
    # the case of names matters (RFC 6455 section 4.1)
    ((JSON.upper(),), MODES, UNKNOWN),
    # only unknown subprotocols
    (("other",), MODES, UNKNOWN),
    (("other",), {}, UNKNOWN),
    (("chat.v2.json", "other"), MODES, UNKNOWN),
    (("",), MODES, UNKNOWN),
    # with a token
    (("bearer", TOKEN), MODES, ("bearer", None)),
    (("BeArEr", TOKEN), MODES, ("BeArEr", None)),
    (("bearer", TOKEN), {}, ("bearer", None)),
    (("bearer", TOKEN, PACK, JSON), MODES, (PACK, "msgpack")),
    ((PACK, "bearer", TOKEN, JSON), MODES, (PACK, "msgpack")),
    ((JSON, PACK, "BEARER", TOKEN), MODES, (JSON, "text")),
    (("bearer", TOKEN, "other"), MODES, UNKNOWN),
    (("bearer", TOKEN, "other"), {}, UNKNOWN),
    (("bearer",), MODES, UNKNOWN),
    ((JSON, "bearer"), MODES, (JSON, "text")),
    # a token with the name of a subprotocol
    (("bearer", JSON), MODES, ("bearer", None)),
    (("bearer", JSON, PACK), MODES, (PACK, "msgpack")),
    (("bearer", JSON, JSON), MODES, (JSON, "text")),
    (("bearer", "bearer"), MODES, ("bearer", None)),
]


@pytest.mark.parametrize(("offered", "modes", "choice"), CHOICES, ids=stable_id)
def test_the_first_offered_subprotocol_with_a_mode_is_chosen(
    offered: tuple[str, ...], modes: dict[str, Mode], choice: tuple[str | None, Mode | None] | None
) -> None:
    if choice is not None:
        assert choose_subprotocol(offered, modes) == choice
        return
    with pytest.raises(UnknownSubprotocol) as caught:
        choose_subprotocol(offered, modes)
    assert caught.value.status_code == 400
    assert caught.value.known == tuple(modes)


names = st.sampled_from([JSON, PACK, "bearer", "Bearer", "other", TOKEN])


@given(st.lists(names, max_size=6), st.sampled_from([MODES, {}, {"other": "text"}]))
def test_the_answer_to_an_offer_is_part_of_it_and_never_the_token(offered: list[str], modes: dict[str, Mode]) -> None:
    try:
        subprotocol, mode = choose_subprotocol(offered, modes)
    except UnknownSubprotocol as error:
        assert TOKEN not in repr(error) + str(error)  # noqa: PT017
        assert not modes.keys() & read_offer(offered).names
        return
    assert subprotocol is None or subprotocol in offered
    assert subprotocol != TOKEN
    assert (subprotocol is None) is (not offered)
    assert mode is None or modes[subprotocol or ""] == mode
