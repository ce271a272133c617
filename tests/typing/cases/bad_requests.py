"""The request: values mistaken for other types, or changed."""

from tests.typing.cases.messages import ChatConnection, ChatHandshake, ChatWebSocket, Order
from typedws import Connection, Handshake, WebSocketState
from typedws._http.request import URL, Headers, QueryParams


def taken_for_something_else(ws: ChatConnection, handshake: ChatHandshake, whole: ChatWebSocket) -> None:
    url: Order = ws.url  # error: URL Order
    base_url: Order = ws.base_url  # error: URL Order
    headers: dict[str, str] = handshake.headers  # error: Headers dict
    query: dict[str, str] = handshake.query_params  # error: QueryParams dict
    path: dict[str, str] = handshake.path_params  # error: Mapping dict
    cookies: dict[str, str] = handshake.cookies  # error: Mapping dict
    client: tuple[str, int] = ws.client  # error: Address tuple
    state: dict[str, object] = ws.state  # error: State dict
    offered: list[str] = ws.subprotocols  # error: Sequence list
    connected: bool = whole.client_state  # error: WebSocketState bool
    open_: bool = whole.application_state  # error: WebSocketState bool
    print(url, base_url, headers, query, path, cookies, client, state, offered, connected, open_)


def changed(ws: ChatConnection, whole: ChatWebSocket) -> None:
    ws.url = URL("/")  # error: url
    ws.base_url = URL("/")  # error: base_url
    ws.headers = Headers()  # error: headers
    ws.query_params = QueryParams()  # error: query_params
    ws.path_params = {}  # error: path_params
    ws.cookies = {}  # error: cookies
    ws.client = None  # error: client
    ws.state = {}  # error: state
    ws.app = None  # error: app
    ws.subprotocols = []  # error: subprotocols
    whole.client_state = WebSocketState.CONNECTED  # error: client_state
    whole.application_state = WebSocketState.CONNECTED  # error: application_state


def changed_inside(ws: Connection[Order]) -> None:
    ws["path"] = "/"  # error: Connection
    ws.headers["host"] = "localhost"  # error: Headers
    ws.query_params["page"] = "2"  # error: QueryParams
    ws.cookies["session"] = "a"  # error: Mapping
    ws.path_params["room"] = "lobby"  # error: Mapping
    ws.subprotocols.append("chat.v2")  # error: Sequence append


def called(ws: ChatConnection) -> None:
    ws.url()  # error: URL
    ws.client.host  # error: host
    ws.headers.getlist()  # error: key
    ws[1]  # error: str


def looked_up(handshake: Handshake) -> None:
    host: int = handshake.headers["host"]  # error: str int
    token: str = handshake.headers.get("authorization")  # error: None str
    all_of_them: str = handshake.headers.getlist("cookie")  # error: list[str]
    page: int = handshake.query_params.get("page", "1")  # error: str int
    pages: list[int] = handshake.query_params.getlist("page")  # error: list[str] list[int]
    session: str = handshake.cookies.get("session")  # error: None str
    port: int = handshake.url.port  # error: None int
    shown: str = handshake.bearer_token  # error: None str
    print(host, token, all_of_them, page, pages, session, port, shown, handshake.client.host)  # error: host None
    print(handshake.headers[b"host"])  # error: str
    print(handshake.query_params[1])  # error: str
    print(handshake.url.user)  # error: URL user
    print(handshake.user)  # error: Handshake user


def urls(url: URL) -> None:
    url.replace(scheme=1)  # error: replace
    url.replace(host="localhost")  # error: replace
    url.remove_query_params(1)  # error: remove_query_params
    url.path = "/"  # error: path
    URL.from_scope(Order())  # error: from_scope Order
    QueryParams(Order)  # error: Order
    Headers("host: localhost")  # error: Mapping
    Headers(raw={"host": "localhost"})  # error: tuple[bytes, bytes]
    Headers({"host": 1})  # error: int str
