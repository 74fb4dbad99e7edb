//! `cargo xtask bench NAME`: see `muster_e2e::bench`.

fn main() -> std::process::ExitCode {
    muster_e2e::bench::main()
}
