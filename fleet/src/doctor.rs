//! What is wrong with this fleet, and what to do about it.
