"""Everything a request handler of the sandbox works with."""

from dataclasses import dataclass

from naru.sandbox.hecto.book import Book
from naru.sandbox.hecto.clock import Clock
from naru.sandbox.hecto.desk import Desk
from naru.sandbox.hecto.faults import Faults
from naru.sandbox.hecto.merchants import Merchants
from naru.sandbox.hecto.notis import Sender
from naru.sandbox.hecto.settings import Settings


@dataclass(frozen=True, slots=True)
class Room:
    settings: Settings
    book: Book
    clock: Clock
    merchants: Merchants
    faults: Faults
    sender: Sender
    desk: Desk


def open_room(settings: Settings) -> Room:
    book = Book(settings.book)
    clock = Clock(int(book.note("clock_offset_ms", "0")))
    merchants = Merchants(book, settings.vbank_noti_url)
    faults = Faults()
    return Room(
        settings,
        book,
        clock,
        merchants,
        faults,
        Sender(book, merchants, clock, faults),
        Desk(book, merchants, clock, lenient=settings.lenient),
    )
