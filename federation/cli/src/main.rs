//! The executable `muster`.

use std::process::ExitCode;

/// Replicas allocate and free many small texts on several threads: a quarter of their time was spent in the C library's
/// allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    muster::main()
}
