//! The executable `muster`.

fn main() {}
