//! Starts a fleet and waits until it is healthy; resizes one service by hand.
