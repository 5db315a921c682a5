//! The woshou command.
fn main() {}
