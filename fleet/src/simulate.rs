//! Strategies replayed on recorded traces.
