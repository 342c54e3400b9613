"""How an amount splits into supply value, VAT and tax-free part, by Hecto's rule (Hecto's specification)."""

from __future__ import annotations

from dataclasses import dataclass

from naru.domain.values import Won, won


@dataclass(frozen=True, slots=True)
class Split:
    """KRW; the three add up to the whole."""

    supply: Won
    vat: Won
    tax_free: Won

    @property
    def total(self) -> Won:
        """All three."""
        return won(self.supply + self.vat + self.tax_free)


def split(amount: int, tax_free: int, vat: int | None = None) -> Split:
    """VAT is an eleventh of the taxable part, rounded on the supply value (1,000 → 909 + 91), unless given.

    Raises ValueError when the parts do not fit into *amount*.
    """
    taxable = amount - tax_free
    supply = (taxable * 10 + 5) // 11
    part = taxable - supply if vat is None else vat
    return Split(won(taxable - part), won(part), won(tax_free))
