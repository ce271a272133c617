"""A Django project without a database: its settings, and a page to log in."""

from importlib import import_module
from typing import Any, Final

from typedws import App
from typedws.integrations.django import routed

# Neither Django nor channels has types.
conf: Final[Any] = import_module("django.conf")
conf.settings.configure(
    SECRET_KEY="secret",
    ALLOWED_HOSTS=["127.0.0.1", "testserver"],
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    AUTHENTICATION_BACKENDS=[f"{__name__}.Memory"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    ROOT_URLCONF=__name__,
    LOGGING_CONFIG=None,
    USE_TZ=True,
)
import_module("django").setup()

urls: Final[Any] = import_module("django.urls")
auth: Final[Any] = import_module("django.contrib.auth")
http: Final[Any] = import_module("django.http")
asgi: Final[Any] = import_module("django.core.asgi")
channels_auth: Final[Any] = import_module("channels.auth")
channels_routing: Final[Any] = import_module("channels.routing")

import_module("django.contrib.auth.signals").user_logged_in.disconnect(dispatch_uid="update_last_login")


class Memory:
    """Users without a database."""

    def get_user(self, key: int) -> Any:
        return auth.get_user_model()(pk=key, username="ann")


def log_in(request: Any) -> Any:
    request.session["colour"] = "red"
    auth.login(request, Memory().get_user(1))
    return http.HttpResponse("welcome")


urlpatterns: Final = [urls.path("login", log_in)]


def by_channels(*routes: Any) -> Any:
    """Return the application that the documentation of channels recommends, with these routes."""
    router = channels_routing.URLRouter([*routes, urls.re_path("", routed(App()))])
    protocols = {"http": asgi.get_asgi_application(), "websocket": channels_auth.AuthMiddlewareStack(router)}
    return channels_routing.ProtocolTypeRouter(protocols)
