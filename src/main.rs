//! The `srcfs` program.
fn main() {}
