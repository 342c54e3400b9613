"""A shop's page at an origin of its own that knows nothing but iamport.js."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class ForeignShop:
    """Serves one page, and shows what it is sent back to."""

    url: str = ""
    html: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def sells(self, gateway: str, *, headers: dict[str, str] | None = None) -> None:
        """Shows a page with the guide's own sample on it; `window.extra` changes parameters."""
        self.headers = headers or {}
        self.html = f"""<!doctype html><html lang="ko"><meta charset="utf-8"><title>shop</title>
        <script src="{gateway}/v1/iamport.js" nonce="abc"></script>
        <script nonce="abc">
          IMP.init('imp00000000');
          window.results = [];
          window.heard = function (rsp) {{ window.results.push(rsp); }};
          window.sample = function (extra) {{
            var p = {{
              channelKey: 'channel-key-dev-window', pay_method: 'card', merchant_uid: 'order_no_0001',
              name: '주문명:결제테스트', amount: 1004, buyer_email: 'test@portone.io', buyer_name: '구매자이름',
              buyer_tel: '010-1234-5678', buyer_addr: '서울특별시 강남구 삼성동', company: '포트원',
              buyer_postcode: '123-456', m_redirect_url: location.origin + '/done?from=shop#order'
            }};
            for (var k in extra) {{ if (extra[k] === null) delete p[k]; else p[k] = extra[k]; }}
            return p;
          }};
          addEventListener('DOMContentLoaded', function () {{
            document.getElementById('pay').addEventListener('click', function () {{
              IMP.request_pay(sample(window.extra), window.quiet ? undefined : window.heard);
            }});
          }});
        </script><button id="pay">결제하기</button>"""


@contextmanager
def foreign_shop() -> Generator[ForeignShop]:
    """The shop at `http://shop.localhost`, which is another site than the gateway's 127.0.0.1."""
    shop = ForeignShop()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/done"):
                html, headers = "<!doctype html><title>done</title>back at the shop", dict[str, str]()
            elif self.path == "/":
                html, headers = shop.html, shop.headers
            else:
                self.send_error(404)
                return
            body = html.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.daemon_threads = True
    shop.url = f"http://shop.localhost:{web.server_address[1]}"
    threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield shop
    finally:
        web.shutdown()
        web.server_close()
