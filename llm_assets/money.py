"""Amounts of US dollars as people read them, and as numbers for scripts: the same wherever they appear."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

_CENT = Decimal("0.01")
# The tables keep as much, and so does the budget.
_BILLIONTH = Decimal("0.000000001")
_SIGNIFICANT_DIGITS = 2


def usd(amount: Decimal | float) -> str:
    """`$1,234.50`, `$0.10`: cents, and as many digits more as a small amount needs to say anything."""
    exact = Decimal(str(amount))
    rounded = exact.quantize(_CENT, ROUND_HALF_UP)
    if exact and abs(exact) < 1:
        digits = max(_SIGNIFICANT_DIGITS - 1 - exact.adjusted(), 2)
        rounded = exact.quantize(max(Decimal(1).scaleb(-digits), _BILLIONTH), ROUND_HALF_UP)
    return _shown(rounded)


def exact_usd(amount: Decimal) -> str:
    """`$49.99912`: all digits down to a billionth, where it matters which of two amounts is larger."""
    return _shown(amount.quantize(_BILLIONTH, ROUND_HALF_UP))


def usd_number(amount: Decimal | float) -> float:
    """For JSON: to a billionth, without the noise of sums in binary fractions."""
    return float(Decimal(str(amount)).quantize(_BILLIONTH, ROUND_HALF_UP))


def _shown(amount: Decimal) -> str:
    """At least two decimals, and no zeros after those."""
    whole, _, decimals = f"{abs(amount):,f}".partition(".")
    return f"{'-' if amount < 0 else ''}${whole}.{decimals.rstrip('0').ljust(2, '0')}"
