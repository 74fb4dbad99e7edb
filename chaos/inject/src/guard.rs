//! The guard: a process of its own that makes another one stand still and lets it go in time.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::clock::Moment;
use crate::folder::FaultFolder;
use crate::link::FaultLink;
use crate::process::Target;

/// Between two looks at the clock and the process.
const LOOK: Duration = Duration::from_millis(50);
/// Between two questions to the hub.
const ASK: Duration = Duration::from_millis(500);

/// How to start a guard: this program and these arguments, then those of [`GuardArgs`].
#[derive(Clone, Debug)]
pub struct GuardCommand {
    /// The program.
    pub program: PathBuf,
    /// What comes before the fault's own arguments.
    pub args: Vec<OsString>,
}

/// What a guard guards.
#[derive(Clone, Debug)]
pub struct GuardArgs {
    /// The folder of the host's records.
    pub folder: PathBuf,
    /// The fault.
    pub id: String,
    /// The process.
    pub target: Target,
}

impl GuardCommand {
    /// Starts one for the calling process. `held` becomes its standard input.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn(&self, args: &GuardArgs, held: OwnedFd) -> std::io::Result<Child> {
        Command::new(&self.program)
            .args(&self.args)
            .arg("--faults")
            .arg(&args.folder)
            .args(["--fault", &args.id])
            .args(["--pid", &args.target.pid.to_string()])
            .args(["--start-ticks", &args.target.start_ticks.to_string()])
            .stdin(Stdio::from(held))
            // What is done to our group is not done to it.
            .process_group(0)
            .spawn()
    }
}

/// Makes the process stand still until the fault is over: its time is up, the hub says so, the process is gone or was
/// asked to end, or the guard itself is.
///
/// # Errors
/// The record or the process cannot be had; then nothing was done.
pub async fn guard<L: FaultLink>(args: GuardArgs, link: L) -> std::io::Result<()> {
    let folder = FaultFolder::at(&args.folder).map_err(std::io::Error::other)?;
    let record = folder.get(&args.id).map_err(std::io::Error::other)?;
    let Some(record) = record.filter(|record| record.is_in_effect()) else { return Ok(()) };
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let _released = Released(args.target);
    args.target.stop()?;
    let over = async {
        loop {
            let target = &args.target;
            let is_due = Moment::now().is_ok_and(|now| record.deadline.is_over(&now));
            if is_due || !target.is_there() || target.is_asked_to_end() {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        () = over => {}
        () = unwanted(&link, &args.id) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Lets the process go on, however the guard ends.
struct Released(Target);

impl Drop for Released {
    fn drop(&mut self) {
        self.0.go_on();
    }
}

/// Returns when the hub says that the fault is over.
pub(crate) async fn unwanted<L: FaultLink>(link: &L, id: &str) {
    loop {
        let orders = link.orders().await.unwrap_or_default();
        if orders.iter().any(|order| &*order.id == id && !order.wanted) {
            return;
        }
        tokio::time::sleep(ASK).await;
    }
}
