//! The checks of this repository: graph, shape, specs.
fn main() {}
