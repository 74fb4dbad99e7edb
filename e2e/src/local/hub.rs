//! The replicas of a hub without a supervisor: started, killed together, started again when the test says so.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use muster::client::{Api, Kubeconfig};
use nix::libc;

use super::federation::muster_exe;

/// What an fsync of a replica does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// What it should.
    Works,
    /// Nothing, and says that it did: the deliberate bug "acknowledged before it is durable".
    Lies,
}

/// The replicas of a folder that `muster up` made, and that no `up` uses now. Dropped, they are killed.
pub struct Hub {
    dir: PathBuf,
    fsync: Fsync,
    children: Vec<Child>,
}

impl Hub {
    /// Starts all replicas of a state folder.
    pub fn start(dir: &Path, fsync: Fsync) -> Hub {
        let mut hub = Hub { dir: dir.to_owned(), fsync, children: Vec::new() };
        hub.start_again();
        hub
    }

    /// Starts all again, after [`Hub::kill`].
    pub fn start_again(&mut self) {
        self.children = (1..=3).map(|number| self.spawn(number)).collect();
    }

    /// Kills all with SIGKILL, one right after the other, then does `what`, then waits until they are gone.
    pub fn kill(&mut self, what: impl FnOnce()) {
        for child in &mut self.children {
            child.kill().expect("it can be killed");
        }
        what();
        for child in &mut self.children {
            child.wait().expect("it ends");
        }
        self.children.clear();
    }

    /// Replicas that ended by themselves, with the end of what they said.
    pub fn refused(&mut self) -> Vec<String> {
        let ended = |(at, child): (usize, &mut Child)| child.try_wait().ok().flatten().map(|_| at + 1);
        let numbers: Vec<usize> = self.children.iter_mut().enumerate().filter_map(ended).collect();
        numbers.into_iter().map(|number| last_line(&self.log(number))).collect()
    }

    /// The way to one replica's own API, as the administrator.
    pub fn api(&self, number: usize) -> Api {
        let text = std::fs::read_to_string(self.dir.join("kubeconfig")).expect("a kubeconfig");
        let target = Kubeconfig::parse(&text).expect("our own").target(Some(&format!("muster-{number}")));
        Api::new(&target.expect("the context")).expect("the target")
    }

    fn log(&self, number: usize) -> PathBuf {
        self.dir.join("logs").join(format!("controller-{number}.log"))
    }

    fn spawn(&self, number: usize) -> Child {
        let log = File::options().create(true).append(true).open(self.log(number)).expect("a log");
        let config = self.dir.join("controllers").join(format!("controller-{number}")).join("config.json");
        let mut command = Command::new(muster_exe());
        // Its standard input is ours: it does not outlive a test that is killed.
        command.args(["controller", "--with-parent", "--config"]).arg(config).stdin(Stdio::piped());
        command.stdout(log.try_clone().expect("shared")).stderr(log);
        if self.fsync == Fsync::Lies {
            // SAFETY: between fork and exec the closure makes system calls only, on values that were made before.
            unsafe { command.pre_exec(forget_to_sync) };
        }
        command.spawn().expect("it starts")
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.kill(|| {});
    }
}

fn last_line(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().last().unwrap_or_default().to_owned()
}

/// Answers fsync and fdatasync with success and does not carry them out, in this process and its children.
fn forget_to_sync() -> io::Result<()> {
    let statement = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let (load, jump, answer) = (
        libc::BPF_LD | libc::BPF_W | libc::BPF_ABS,
        libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
        libc::BPF_RET | libc::BPF_K,
    );
    let mut program = [
        // Offset 0 of `seccomp_data`: the number of the call.
        statement(load, 0, 0, 0),
        statement(jump, 1, 0, libc::SYS_fsync as u32),
        statement(jump, 0, 1, libc::SYS_fdatasync as u32),
        // An error number of 0 is success.
        statement(answer, 0, 0, libc::SECCOMP_RET_ERRNO),
        statement(answer, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the requests take integers and one program, which outlives the call.
    let answers = unsafe {
        [
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
            libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &filter),
        ]
    };
    if answers == [0, 0] { Ok(()) } else { Err(io::Error::last_os_error()) }
}
