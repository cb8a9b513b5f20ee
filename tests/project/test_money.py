"""Amounts of money look the same wherever people read them, and are exact where scripts do."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as some

from llm_assets.money import exact_usd, usd, usd_number

amounts = some.decimals(min_value=0, max_value=10**8, places=9)


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (0, "$0.00"),
        (Decimal("0.1"), "$0.10"),
        (0.1035, "$0.10"),
        (Decimal("0.0706"), "$0.071"),
        (0.0999, "$0.10"),
        (0.0012345, "$0.0012"),
        (0.9999, "$1.00"),
        (1, "$1.00"),
        (12.345, "$12.35"),
        (1234.5, "$1,234.50"),
        (Decimal("0.00000004"), "$0.00000004"),
        (-0.5, "-$0.50"),
    ],
)
def test_cents_and_more_where_an_amount_is_small(amount: Decimal | float, shown: str) -> None:
    """Two decimals at least, and two digits that say something."""
    assert usd(amount) == shown


@given(amount=amounts)
def test_what_is_shown_is_near_and_no_less_than_cents(amount: Decimal) -> None:
    """Within half a cent, and of a small amount within a twentieth."""
    shown = Decimal(usd(amount).replace("$", "").replace(",", ""))
    assert abs(shown - amount) <= min(Decimal("0.005"), max(amount / 20, Decimal("5e-10")))
    assert len(usd(amount).partition(".")[2]) >= 2


@given(amount=amounts)
def test_all_digits_where_they_matter(amount: Decimal) -> None:
    """Two amounts that differ by a billionth look different."""
    assert Decimal(exact_usd(amount).replace("$", "").replace(",", "")) == amount


def test_sums_for_scripts_have_no_noise() -> None:
    """0.1 and 0.2 are 0.3, not almost."""
    assert 0.1 + 0.2 != 0.3
    assert usd_number(0.1 + 0.2) == 0.3
    assert repr(usd_number(0.08100309999999998)) == "0.0810031"
