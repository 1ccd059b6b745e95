//! The fleet, live, in the terminal.
