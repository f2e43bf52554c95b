//! Runs a Program: clock, events, recording.
