//! Tables for terminals.
