//! What the attributes accept and refuse, case by case: see `tests/ui`.
