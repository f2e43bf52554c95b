//! The twinc command line.
fn main() {}
