"""The sandbox as a server: Hecto's hosts on one port, with its own book."""

import uvicorn
from litestar import Litestar, get
from litestar.config.app import AppConfig
from litestar.exceptions import HTTPException

from naru.sandbox.hecto import connection, control, counter, front, lists, night, slip, spay, taxdesk
from naru.sandbox.hecto.room import Room, open_room
from naru.sandbox.hecto.settings import Settings

__all__ = ["Settings", "build", "serve"]


def build(settings: Settings) -> Litestar:
    """The application. Opens its book at once; closes it at shutdown."""
    return _app(open_room(settings))


def _app(room: Room) -> Litestar:
    @get("/health")
    async def health() -> dict[str, str]:
        room.book.row("SELECT 1")
        return {"status": "ok"}

    async def stop() -> None:
        await room.sender.stop()
        room.book.close()

    if room.settings.night_cancel:
        room.sender.timers.append(lambda now: night.cancel_the_days_payments(room, now))

    def lifecycle(config: AppConfig) -> AppConfig:
        config.on_startup.append(room.sender.start)
        config.on_shutdown.append(stop)
        return config

    return Litestar(
        route_handlers=[
            health,
            spay.handler(room),
            spay.simulator(room),
            taxdesk.handler(room),
            *slip.handlers(room),
            control.router(room),
            *front.handlers(room),
            *counter.handlers(room),
            *lists.handlers(room),
        ],
        on_app_init=[lifecycle],
        exception_handlers={HTTPException: control.refusal, Exception: control.failed},
        openapi_config=None,
        logging_config=None,
        debug=False,
    )


def serve(settings: Settings, host: str = "127.0.0.1", port: int = 8001) -> None:
    """Serves until it is told to stop (SIGINT, SIGTERM)."""
    uvicorn.Server(config(settings, host, port)).run()


def config(settings: Settings, host: str, port: int) -> uvicorn.Config:
    """How the sandbox is served: its protocol class makes the connection faults possible."""
    return uvicorn.Config(
        build(settings),
        host=host,
        port=port,
        http=connection.Protocol,
        lifespan="on",
        access_log=False,
        log_level="warning",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=3,
        server_header=False,
    )
