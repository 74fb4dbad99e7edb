//! Ports for the pods of gangs: one for each rank, the same for all pods of an attempt.
//!
//! A job binds its ports itself, so that nobody can hold them for it. A port is kept free for its gang in three ways: it
//! lies outside the range from which the kernel gives ports to whoever asks for any; among the agents of this machine it
//! belongs to the attempt that has abstract sockets with its number in their names; and it was free when it was chosen. What
//! asks for exactly this number in between can still take it: then the gang's rank fails to bind it and is started again.
//!
//! ```text
//!  @muster-gang-port-NUMBER-FOLDER-EPOCH-...     one socket of the agent, which its shims keep open too
//! ```
//!
//! So the kernel forgets a name when agent and shims are gone: ports of an attempt whose pods live are nobody else's, whether
//! its agent lives or not. Who wants a port binds a name first and looks then; two that meet both go on to the next. The choice lies in `STATE/gangs/EPOCH`, so that an agent that starts again gives later pods of the attempt the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::os::fd::{AsRawFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::backend::error::BackendError;
use crate::backend::folder::system;

/// Gangs of more ranks get a port for rank 0 only: a list of peers must fit into a variable.
const PEERS_MAX: u32 = 256;
/// Where ports are taken from if the kernel leaves this range alone.
const USUAL: Range<u16> = 20_000..32_768;
/// Fewer are not worth it.
const FEWEST: u16 = 1_024;
/// So long an attempt may have ports and no pod.
const STARTING: Duration = Duration::from_secs(60);
const KERNEL_RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";
/// All sockets of this network namespace by name; `@` stands for the first byte of an abstract one.
const SOCKETS: &str = "/proc/net/unix";
const PREFIX: &str = "muster-gang-port-";

/// Ports given to attempts. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct GangPorts {
    folder: PathBuf,
    /// Tells this folder from those of other agents of the machine.
    folder_id: String,
    held: Arc<Mutex<BTreeMap<String, Held>>>,
}

/// Ports of one attempt.
#[derive(Debug)]
struct Held {
    ports: Vec<Port>,
    since: Instant,
}

/// A port that no other agent of this machine gives away.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    number: u16,
    /// Says so, for as long as it is open here or in a shim.
    name: Arc<UnixDatagram>,
}

/// Whose a port is: a folder and an attempt.
#[derive(Debug)]
struct Owner(String);

impl GangPorts {
    /// Ports given to earlier pods are taken again at once: other agents must not give them to others.
    pub(crate) fn open(state: &Path) -> Result<GangPorts, BackendError> {
        let folder = state.join("gangs");
        fs::create_dir_all(&folder).map_err(system("make the folder of gangs"))?;
        let meta = fs::metadata(&folder).map_err(system("look at the folder of gangs"))?;
        let folder_id = format!("{:x}.{:x}", meta.dev(), meta.ino());
        let ports = GangPorts { folder, folder_id, held: Arc::default() };
        for epoch in ports.stored().map_err(system("list the folder of gangs"))? {
            ports.take_again(&epoch).map_err(system("take the ports of gangs again"))?;
        }
        Ok(ports)
    }

    /// The ports of an attempt of so many ranks. `attempts` tells which attempts have pods, and whether any of them may be
    /// alive: ports of the others go back.
    pub(crate) fn reserve(
        &self,
        epoch: &str,
        ranks: u32,
        attempts: impl FnOnce() -> Result<BTreeMap<String, bool>, BackendError>,
    ) -> Result<Vec<Port>, BackendError> {
        if let Some(held) = self.lock().get(epoch) {
            return Ok(held.ports.clone());
        }
        self.release(&attempts()?);
        let mut held = self.lock();
        if let Some(held) = held.get(epoch) {
            return Ok(held.ports.clone());
        }
        let count = if ranks > PEERS_MAX { 1 } else { ranks };
        let ports = choose(&self.owner(epoch), epoch, count as usize);
        let ports = ports.map_err(system("find free ports for a gang"))?;
        self.store(epoch, &ports).map_err(system("write the ports of a gang"))?;
        held.insert(epoch.to_owned(), Held { ports: ports.clone(), since: Instant::now() });
        Ok(ports)
    }

    fn owner(&self, epoch: &str) -> Owner {
        Owner(format!("{}-{epoch}", self.folder_id))
    }

    fn release(&self, attempts: &BTreeMap<String, bool>) {
        self.lock().retain(|epoch, held| {
            // One without pods is about to start them, unless it is old: then they were removed.
            let is_kept = attempts.get(epoch).copied().unwrap_or(held.since.elapsed() < STARTING);
            if !is_kept {
                // One that stays behind is taken again at the next start, and released again after it.
                let _ = fs::remove_file(self.folder.join(epoch));
            }
            is_kept
        });
    }

    fn take_again(&self, epoch: &str) -> io::Result<()> {
        let file = self.folder.join(epoch);
        let stored = fs::read_to_string(&file).unwrap_or_default();
        let owner = self.owner(epoch);
        let ports: Option<Vec<Port>> =
            stored.split(',').map(|number| Port::claim(number.parse().ok()?, &owner)).collect();
        let others = owner.others()?;
        match ports.filter(|ports| ports.iter().all(|port| !others.contains(&port.number))) {
            Some(ports) => drop(self.lock().insert(epoch.to_owned(), Held { ports, since: Instant::now() })),
            // Somebody else has them, so that no pod of the attempt lives. Those that start from now on get others.
            None => drop(fs::remove_file(file)),
        }
        Ok(())
    }

    fn stored(&self) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(&self.folder)?.collect::<io::Result<Vec<_>>>()?;
        Ok(entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok()).collect())
    }

    fn store(&self, epoch: &str, ports: &[Port]) -> io::Result<()> {
        let text = ports.iter().map(|port| port.number.to_string()).collect::<Vec<_>>().join(",");
        fs::write(self.folder.join(epoch), text)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Owner {
    /// Ports that somebody else has or is looking at.
    fn others(&self) -> io::Result<BTreeSet<u16>> {
        let sockets = fs::read(SOCKETS)?;
        let sockets = String::from_utf8_lossy(&sockets);
        let names =
            sockets.split_whitespace().filter_map(|word| word.strip_prefix('@')?.strip_prefix(PREFIX));
        let ports = names.filter_map(|name| name.split_once('-'));
        let foreign =
            ports.filter(|(_, owner)| owner.rsplit_once('-').is_none_or(|(owner, _)| owner != self.0));
        Ok(foreign.filter_map(|(number, _)| number.parse().ok()).collect())
    }
}

impl Port {
    /// Says that a number is this owner's. Whether it is anybody else's has to be looked at afterwards.
    fn claim(number: u16, owner: &Owner) -> Option<Port> {
        static CLAIMS: AtomicU64 = AtomicU64::new(0);
        let unique = format!("{}.{}", std::process::id(), CLAIMS.fetch_add(1, Ordering::Relaxed));
        let name = SocketAddr::from_abstract_name(format!("{PREFIX}{number}-{}-{unique}", owner.0)).ok()?;
        UnixDatagram::bind_addr(&name).ok().map(|name| Port { number, name: Arc::new(name) })
    }

    /// What the job binds.
    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// What the shims of the attempt have to keep open.
    pub(crate) fn descriptor(&self) -> RawFd {
        self.name.as_raw_fd()
    }

    fn is_free(&self) -> bool {
        TcpListener::bind((Ipv4Addr::LOCALHOST, self.number)).is_ok()
    }
}

/// So many free ports. Where the search begins depends on the attempt, so that attempts meet seldom.
fn choose(owner: &Owner, epoch: &str, count: usize) -> io::Result<Vec<Port>> {
    let range = range(&fs::read_to_string(KERNEL_RANGE).unwrap_or_default());
    let size = usize::from(range.end - range.start);
    let begin = epoch.bytes().fold(7usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % size;
    let mut others = owner.others()?;
    let mut numbers = range.cycle().skip(begin).take(size);
    let mut ports = Vec::new();
    while ports.len() < count {
        let free = numbers.by_ref().filter(|number| !others.contains(number));
        let claimed = free.filter_map(|number| Port::claim(number, owner)).filter(Port::is_free);
        let claimed: Vec<Port> = claimed.take(count - ports.len()).collect();
        if claimed.is_empty() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        others = owner.others()?;
        ports.extend(claimed.into_iter().filter(|port| !others.contains(&port.number)));
    }
    Ok(ports)
}

/// Ports that the kernel gives to nobody who asks for any.
fn range(kernel: &str) -> Range<u16> {
    let mut limits = kernel.split_whitespace().filter_map(|word| word.parse::<u16>().ok());
    let (Some(first), Some(last)) = (limits.next(), limits.next()) else { return USUAL };
    let below = USUAL.start..first.clamp(USUAL.start, USUAL.end);
    let above = last.saturating_add(1)..u16::MAX;
    let is_enough = |range: &Range<u16>| range.len() >= usize::from(FEWEST);
    [below, above].into_iter().find(is_enough).unwrap_or(USUAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(epochs: &[(&str, bool)]) -> Result<BTreeMap<String, bool>, BackendError> {
        Ok(epochs.iter().map(|(epoch, is_live)| ((*epoch).to_owned(), *is_live)).collect())
    }

    /// Attempts of this process only: another one that runs the same test searches elsewhere.
    fn epoch(number: u32) -> String {
        format!("{}{number}", std::process::id())
    }

    fn numbers(ports: &[Port]) -> Vec<u16> {
        ports.iter().map(Port::number).collect()
    }

    /// Tests that reserve ports, one after the other: what one gives back the other may take.
    static PORTS: Mutex<()> = Mutex::new(());

    #[test]
    fn an_attempt_keeps_its_ports_and_shares_none() {
        let _alone = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (agent, beside) = (GangPorts::open(one.path()).unwrap(), GangPorts::open(other.path()).unwrap());
        let reserve = |agent: &GangPorts| agent.reserve(&epoch(1), 3, || seen(&[])).unwrap();
        let shims = reserve(&agent);
        let first = numbers(&shims);
        assert_eq!(first.len(), 3);
        assert_eq!(numbers(&reserve(&agent)), first);
        let second = numbers(&reserve(&beside));
        assert!(first.iter().all(|port| !second.contains(port)), "{first:?} {second:?}");
        // The agent dies and its shims live: nobody else gets their ports.
        drop((agent, beside));
        let third = tempfile::tempdir().unwrap();
        let meanwhile = GangPorts::open(third.path()).unwrap();
        let taken = numbers(&reserve(&meanwhile));
        assert!(first.iter().all(|port| !taken.contains(port)), "{first:?} {taken:?}");
        let again = GangPorts::open(one.path()).unwrap();
        assert_eq!(numbers(&reserve(&again)), first);
        // When they are dead too, somebody else may be faster than the next agent.
        drop((again, shims));
        let faster = numbers(&reserve(&GangPorts::open(third.path().join("other").as_path()).unwrap()));
        assert_eq!(faster, first);
    }

    #[test]
    fn agents_that_choose_at_once_share_no_port() {
        let _alone = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
        let epoch = epoch(4);
        let chosen: Vec<Vec<Port>> = std::thread::scope(|scope| {
            let choose = |number: u32| choose(&Owner(format!("test.{number}-{epoch}")), &epoch, 20).unwrap();
            let all: Vec<_> = (0..8).map(|number| scope.spawn(move || choose(number))).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let all: BTreeSet<u16> = chosen.iter().flatten().map(Port::number).collect();
        assert_eq!(all.len(), 8 * 20);
    }

    #[test]
    fn ports_of_dead_attempts_go_back_and_those_in_use_are_passed_over() {
        let _alone = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
        let state = tempfile::tempdir().unwrap();
        let agent = GangPorts::open(state.path()).unwrap();
        let (dead, live_one) = (epoch(2), epoch(3));
        let first = agent.reserve(&dead, 1, || seen(&[])).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, first[0].number())).unwrap();
        let large = agent.reserve(&live_one, 300, || seen(&[(&dead, false), (&live_one, true)])).unwrap();
        assert_eq!(large.len(), 1, "too many for a list of peers");
        assert!(!state.path().join("gangs").join(&dead).exists());
        let again = agent.reserve(&dead, 1, || seen(&[(&dead, false), (&live_one, true)])).unwrap();
        assert_ne!(numbers(&again), numbers(&first), "it is in use");
        drop(listener);
    }

    #[test]
    fn the_kernels_own_range_is_left_alone() {
        for (kernel, want) in [
            ("32768\t60999\n", 20_000..32_768),
            ("30000 60999", 20_000..30_000),
            ("1024 60999", 61_000..u16::MAX),
            ("1024 65535", USUAL),
            ("", USUAL),
        ] {
            assert_eq!(range(kernel), want, "{kernel}");
        }
    }
}
