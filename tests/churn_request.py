"""A customer about whom tests ask the churn model."""

from typing import Any

CUSTOMER: dict[str, Any] = {
    "tenure_months": 12,
    "monthly_charge": 70.5,
    "support_calls": 3,
    "contract": "month-to-month",
    "payment": "card",
    "late_payments": 1,
    "data_gb": 10.5,
    "add_ons": 2,
}
