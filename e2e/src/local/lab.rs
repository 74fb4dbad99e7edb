//! A hub and members in network namespaces of their own, joined by cables that can be cut: nothing leaves them, and all of it
//! goes with the test.
//!
//! ```text
//!  namespace of the hub                              namespace of a member
//!  muster up on 127.0.0.1, 10.77.N.1 ===cable=== 10.77.N.2, agent and pods
//! ```
//!
//! A member's namespace has no loopback, and its route to 127.0.0.0/8 leads through the cable: so it reaches the hub under
//! the hub's own addresses. A cable is cut by sending to a hardware address that nobody has: every packet, of connections
//! that stand and of new ones, is lost without a word to its sender, in one direction or in both.

use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd};
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, setns, unshare};

/// The control of the kernel that lets 127.0.0.0/8 leave a machine.
const ROUTE_LOCALNET: &str = "/proc/sys/net/ipv4/conf/all/route_localnet";
/// A hardware address that no cable has.
const NOBODY: &str = "02:00:00:00:00:99";

/// A network namespace. It goes when nobody is inside any more.
pub struct Namespace(File);

impl Namespace {
    fn new() -> Result<Namespace, String> {
        let made = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).map_err(|error| format!("a network namespace: {error}"))?;
            File::open("/proc/thread-self/ns/net").map_err(|error| error.to_string())
        });
        made.join().expect("it does not panic").map(Namespace)
    }

    /// Does something inside: processes and threads that are started there stay there.
    pub fn inside<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(self.0.as_fd(), CloneFlags::CLONE_NEWNET).expect("who made it may enter it");
                what()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// The same once more.
    pub fn same(&self) -> Namespace {
        Namespace(self.0.try_clone().expect("a descriptor"))
    }

    fn ip(&self, line: &str) -> Result<(), String> {
        let words = line.split_whitespace();
        let output = self.inside(|| Command::new("ip").args(words).stdin(Stdio::null()).output());
        let output = output.map_err(|error| format!("ip: {error}"))?;
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if output.status.success() { Ok(()) } else { Err(format!("ip {line}: {said}")) }
    }

    /// As a path that others can open.
    fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }
}

/// The hub's namespace.
pub struct Lab {
    /// Where the hub, its clients and the test itself are.
    pub hub: Namespace,
}

/// Which direction of a cable is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Both.
    Both,
    /// What the hub sends is lost; it hears the member.
    FromHub,
    /// What the member sends is lost; it hears the hub.
    FromMember,
}

/// A member's namespace and its cable.
pub struct Cable {
    /// Where the member is.
    pub member: Namespace,
    number: u8,
}

impl Lab {
    /// An empty one. None, with the reason on stderr, where that is not permitted.
    pub fn new() -> Option<Lab> {
        let made = Namespace::new().and_then(|hub| {
            hub.ip("link set lo up")?;
            hub.inside(|| fs::write(ROUTE_LOCALNET, "1")).map_err(|error| error.to_string())?;
            Ok(Lab { hub })
        });
        made.map_err(|reason| eprintln!("skipped, because network namespaces cannot be made here: {reason}"))
            .ok()
    }

    /// Lays a cable to a new namespace.
    pub fn lay(&self, number: u8) -> Cable {
        let member = Namespace::new().expect("the hub's could be made");
        let Lab { hub } = self;
        let there = member.path();
        hub.ip(&format!("link add c{number} type veth peer name hub netns {there}")).expect("a cable");
        for (side, name, own) in [(hub, format!("c{number}"), 1), (&member, "hub".to_owned(), 2)] {
            side.ip(&format!("addr add 10.77.{number}.{own}/24 dev {name}")).expect("an address");
            side.ip(&format!("link set {name} up")).expect("it is there");
        }
        member.inside(|| fs::write(ROUTE_LOCALNET, "1")).expect("the hub's could be set");
        member.ip(&format!("route add 127.0.0.0/8 via 10.77.{number}.1")).expect("a route");
        Cable { member, number }
    }

    /// From now on packets are lost.
    pub fn cut(&self, cable: &Cable, cut: Cut) {
        for (side, line) in self.ends(cable, cut) {
            side.ip(&format!("neigh replace {line} lladdr {NOBODY} nud permanent")).expect("it can be cut");
        }
    }

    /// As it was.
    pub fn mend(&self, cable: &Cable, cut: Cut) {
        for (side, line) in self.ends(cable, cut) {
            side.ip(&format!("neigh del {line}")).expect("it was cut");
        }
    }

    /// Who sends to whom in the directions that are cut.
    fn ends<'a>(&'a self, cable: &'a Cable, cut: Cut) -> Vec<(&'a Namespace, String)> {
        let Cable { member, number } = cable;
        let hub = (&self.hub, format!("10.77.{number}.2 dev c{number}"));
        let member = (member, format!("10.77.{number}.1 dev hub"));
        match cut {
            Cut::Both => vec![hub, member],
            Cut::FromHub => vec![hub],
            Cut::FromMember => vec![member],
        }
    }
}
