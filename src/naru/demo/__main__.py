"""`python -m naru.demo`: the demo shop as a process of its own. `naru dev` starts it like this."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import uvicorn

from naru.demo.app import Settings, create_app

# The development store's published credentials; a shop of your own gives its own with the options below.
IMP_CODE = "imp00000000"
IMP_KEY = "imp_apikey"
IMP_SECRET = "ekKoeW8RyKuT0zgaZsUtXXTLQ4AhPFW3ZGseDA6bkA5lamv9OqDMnxyeB9wqOsuO9W3Mx9YSJ4dTqJ3f"  # noqa: S105 published


def main() -> None:
    """Reads the options and serves until stopped."""
    parser = argparse.ArgumentParser(
        prog="python -m naru.demo", description="A small shop that pays through the gateway."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8002)
    parser.add_argument("--gateway", default="http://127.0.0.1:8000", help="REST API, server to server")
    parser.add_argument("--gateway-public", help="where browsers find iamport.js, if that is another address")
    parser.add_argument("--imp-code", default=IMP_CODE)
    parser.add_argument("--imp-key", default=IMP_KEY)
    parser.add_argument("--channel-key", default="", help="empty: the store's default channel")
    parser.add_argument("--data-dir", type=Path, help="keep the orders here; in memory only without it")
    options = parser.parse_args()
    settings = Settings(
        gateway=options.gateway,
        gateway_public=options.gateway_public or options.gateway,
        imp_code=options.imp_code,
        imp_key=options.imp_key,
        imp_secret=os.environ.get(
            "DEMO_SHOP_IMP_SECRET", IMP_SECRET
        ),  # not on the command line, where others can see it
        channel_key=options.channel_key,
        data_dir=options.data_dir,
    )
    uvicorn.run(create_app(settings), host=options.host, port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
