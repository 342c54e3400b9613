"""Requests that the rules turn down: a reason and the facts, never a sentence.

The north wire has one table that turns a reason into PortOne's code, words and HTTP status; the
console has its own. A refusal means that nothing has happened.
"""

from __future__ import annotations

import enum


class Why(enum.Enum):
    """Why a request was turned down."""

    UNAUTHORIZED = enum.auto()
    KEY_MISSING = enum.auto()
    KEY_WRONG = enum.auto()
    IP_BLOCKED = enum.auto()
    PAYMENT_NOT_FOUND = enum.auto()
    STATUS_UNKNOWN = enum.auto()
    PAGE_BEYOND = enum.auto()
    PARAMETER = enum.auto()
    """A parameter is missing or has no usable value: name, problem."""
    NO_CHANNEL = enum.auto()
    """No channel that can do this: what, hint."""
    CHANNEL_UNKNOWN = enum.auto()
    STORE_UNKNOWN = enum.auto()
    """A page names a store that we do not know, or that has no window channel at all."""
    TEST_MONEY = enum.auto()
    """A page wants to pay on a test channel of a store that is live."""
    CREDENTIALS = enum.auto()
    """Card credentials the channel's contract asks for are missing: names."""
    ALREADY_PAID = enum.auto()
    BEING_CHECKED = enum.auto()
    """Another request with this merchant_uid has no result yet."""
    CANCEL_NOTHING = enum.auto()
    CANCEL_UID_MISSING = enum.auto()
    CANCEL_ALL_BACK = enum.auto()
    CANCEL_CHECKSUM = enum.auto()
    CANCEL_TOO_MUCH = enum.auto()
    CANCEL_BUSY = enum.auto()
    """Another cancel of this payment has no result yet."""
    CANCEL_TAX_FREE = enum.auto()
    CANCEL_TOO_LATE = enum.auto()
    """The pay method's deadline has passed: pay_method, until (KST yyyyMMdd)."""
    CANCEL_PARTIAL_TODAY = enum.auto()
    """A transfer goes back on its own day only as a whole."""
    CANCEL_NEEDS_ACCOUNT = enum.auto()
    """The money can only go back to a bank account, and none was given: pay_method."""
    ACCOUNT = enum.auto()
    """A virtual account in the wrong state for this: problem."""
    BANK_CLOSED = enum.auto()
    """Banks are closed for maintenance, 23:30-00:35 KST."""
    NOT_SUPPORTED = enum.auto()
    CONFLICT = enum.auto()
    """Same Idempotency-Key, other request."""
    NOT_FOUND = enum.auto()
    """A look-up of something that is not a payment: what."""
    RECEIPT_METHOD = enum.auto()
    """Cash receipts are for transfers and virtual accounts."""
    RECEIPT_NOT_PAID = enum.auto()
    RECEIPT_ALREADY = enum.auto()
    RECEIPT_NONE = enum.auto()
    """Nothing was issued that could be cancelled."""
    RECEIPT_BUSY = enum.auto()
    RECEIPT_TOO_LATE = enum.auto()
    """Cash receipts are cancelled within their calendar year: year."""
    RECEIPT_NOT_FOUND = enum.auto()
    PREPARED_ALREADY = enum.auto()
    PREPARED_NOT_FOUND = enum.auto()
    PREPARED_DIFFERS = enum.auto()
    """The window payment's amount is not the registered one: registered, asked."""
    CARD_NUMBER = enum.auto()
    """No card number at all."""
    CHANNEL_OTHER = enum.auto()
    """A billing key is charged on its own channel, the request names another: channel."""
    CUSTOMER_NOT_FOUND = enum.auto()
    """No billing key under this customer_uid: customer_uid."""
    BUYER_UNKNOWN = enum.auto()
    """The same, when it is to be charged."""
    CUSTOMER_NO_KEY = enum.auto()
    """The same, when a payment is to be scheduled and no card came with the request."""
    KEY_ISSUE = enum.auto()
    """Hecto issued no billing key: why."""
    KEY_DELETE = enum.auto()
    """Hecto refused to delete a billing key: why."""
    SCHEDULE_EXISTS = enum.auto()
    SCHEDULE_NOT_FOUND = enum.auto()
    SCHEDULE_STATE = enum.auto()
    """The schedule is not in a state in which that can be done: state, wanted."""
    SCHEDULE_TIME = enum.auto()
    UNSCHEDULE_NOTHING = enum.auto()
    TOO_MANY = enum.auto()
    """Too many failures of one caller in a minute."""


class Refused(Exception):
    """A request that the rules turn down. Nothing has happened."""

    def __init__(self, why: Why, **facts: object) -> None:
        super().__init__(why.name, facts)
        self.why = why
        self.facts = facts
