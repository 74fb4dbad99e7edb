//! The shim alone, small, for tests of this package; `muster shim` is the same.

use std::path::PathBuf;
use std::process::ExitCode;

/// Usage errors, as the `muster` executable answers them.
const EXIT_USAGE: u8 = 64;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [flag, dir] if flag == "--dir" => muster_member_agent::shim::run(&PathBuf::from(dir)),
        [enter, flag, dir] if enter == "--enter" && flag == "--dir" => {
            muster_member_agent::shim::enter(&PathBuf::from(dir))
        }
        _ => {
            eprintln!("usage: muster-shim [--enter] --dir DIR");
            ExitCode::from(EXIT_USAGE)
        }
    }
}
