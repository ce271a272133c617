"""Which subprotocol and which mode are chosen for an offer; a token is never chosen and never shown in an error."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import stable_id
from typedws._http.subprotocols import Choice, Offer, choose, read_offer
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

CHOICES: Final[list[tuple[tuple[str, ...], dict[str, Mode], Choice[Mode] | None]]] = [
    # no offer: no answer, and no mode
    ((), MODES, Choice(None, None)),
    ((), {}, Choice(None, None)),
    # the client's order of preference counts, not the application's
    ((JSON,), MODES, Choice(JSON, "text")),
    ((PACK, JSON), MODES, Choice(PACK, "msgpack")),
    ((JSON, PACK), MODES, Choice(JSON, "text")),
    ((PACK, PACK), MODES, Choice(PACK, "msgpack")),
    (("other", PACK), MODES, Choice(PACK, "msgpack")),
    (("mine",), {"mine": OWN_CODEC}, Choice("mine", OWN_CODEC)),
    (("b",), {"a": "text", "b": "text"}, Choice("b", "text")),
    # the case of names matters (RFC 6455 section 4.1)
    ((JSON.upper(),), MODES, UNKNOWN),
    # only unknown subprotocols
    (("other",), MODES, UNKNOWN),
    (("other",), {}, UNKNOWN),
    (("chat.v2.json", "other"), MODES, UNKNOWN),
    (("",), MODES, UNKNOWN),
    # with a token
    (("bearer", TOKEN), MODES, Choice("bearer", None)),
    (("BeArEr", TOKEN), MODES, Choice("BeArEr", None)),
    (("bearer", TOKEN), {}, Choice("bearer", None)),
    (("bearer", TOKEN, PACK, JSON), MODES, Choice(PACK, "msgpack")),
    ((PACK, "bearer", TOKEN, JSON), MODES, Choice(PACK, "msgpack")),
    ((JSON, PACK, "BEARER", TOKEN), MODES, Choice(JSON, "text")),
    (("bearer", TOKEN, "other"), MODES, UNKNOWN),
    (("bearer", TOKEN, "other"), {}, UNKNOWN),
    (("bearer",), MODES, UNKNOWN),
    ((JSON, "bearer"), MODES, Choice(JSON, "text")),
    # a token with the name of a subprotocol
    (("bearer", JSON), MODES, Choice("bearer", None)),
    (("bearer", JSON, PACK), MODES, Choice(PACK, "msgpack")),
    (("bearer", JSON, JSON), MODES, Choice(JSON, "text")),
    (("bearer", "bearer"), MODES, Choice("bearer", None)),
]


@pytest.mark.parametrize(("offered", "modes", "choice"), CHOICES, ids=stable_id)
def test_the_first_offered_subprotocol_with_a_mode_is_chosen(
    offered: tuple[str, ...], modes: dict[str, Mode], choice: Choice[Mode] | None
) -> None:
    if choice is not None:
        assert choose(offered, modes) == choice
        return
    with pytest.raises(UnknownSubprotocol) as caught:
        choose(offered, modes)
    assert caught.value.status_code == 400
    assert caught.value.known == tuple(modes)


names = st.sampled_from([JSON, PACK, "bearer", "Bearer", "other", TOKEN])


@given(st.lists(names, max_size=6), st.sampled_from([MODES, {}, {"other": "text"}]))
def test_the_answer_to_an_offer_is_part_of_it_and_never_the_token(offered: list[str], modes: dict[str, Mode]) -> None:
    try:
        choice = choose(offered, modes)
    except UnknownSubprotocol as error:
        assert TOKEN not in repr(error) + str(error)  # noqa: PT017
        assert not modes.keys() & read_offer(offered).names
        return
    assert choice.subprotocol is None or choice.subprotocol in offered
    assert choice.subprotocol != TOKEN
    assert (choice.subprotocol is None) is (not offered)
    assert choice.mode is None or modes[choice.subprotocol or ""] == choice.mode
