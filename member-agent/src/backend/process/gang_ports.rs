//! Ports for the pods of gangs: one for each rank, the same for all pods of an attempt.
//!
//! A job binds its ports itself, so that nobody can hold them for it. A port is kept free for its gang in three ways: it
//! lies outside the range from which the kernel gives ports to whoever asks for any; among the agents of this machine it
//! belongs to whoever bound the abstract socket of its number, which the kernel frees when the agent dies; and it was
//! free when it was chosen. What asks for exactly this number in between can still take it: then the gang's rank fails
//! to bind it and is started again.
//!
//! The choice lies in `STATE/gangs/EPOCH`, so that an agent that starts again gives later pods of the attempt the same.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
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

/// Ports given to attempts. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct GangPorts {
    folder: PathBuf,
    held: Arc<Mutex<BTreeMap<String, Held>>>,
}

/// Ports of one attempt.
#[derive(Debug)]
struct Held {
    ports: Vec<Port>,
    since: Instant,
}

/// A port that no other agent of this machine gives away.
#[derive(Debug)]
struct Port {
    number: u16,
    /// The lock, for as long as it lives.
    _lock: UnixDatagram,
}

impl GangPorts {
    /// Ports given to earlier pods are taken again at once: other agents must not give them to others.
    pub(crate) fn open(state: &Path) -> Result<GangPorts, BackendError> {
        let folder = state.join("gangs");
        fs::create_dir_all(&folder).map_err(system("make the folder of gangs"))?;
        let ports = GangPorts { folder, held: Arc::default() };
        for epoch in ports.stored().map_err(system("list the folder of gangs"))? {
            ports.take_again(&epoch);
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
    ) -> Result<Vec<u16>, BackendError> {
        if let Some(ports) = self.lock().get(epoch) {
            return Ok(ports.numbers());
        }
        self.release(&attempts()?);
        let mut held = self.lock();
        if let Some(ports) = held.get(epoch) {
            return Ok(ports.numbers());
        }
        let count = if ranks > PEERS_MAX { 1 } else { ranks };
        let ports = choose(epoch, count).ok_or_else(|| {
            BackendError::System("find free ports for a gang", io::ErrorKind::AddrInUse.into())
        })?;
        let ports = Held { ports, since: Instant::now() };
        let numbers = ports.numbers();
        self.store(epoch, &numbers).map_err(system("write the ports of a gang"))?;
        held.insert(epoch.to_owned(), ports);
        Ok(numbers)
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

    fn take_again(&self, epoch: &str) {
        let file = self.folder.join(epoch);
        let stored = fs::read_to_string(&file).unwrap_or_default();
        let ports: Option<Vec<Port>> =
            stored.split(',').map(|number| Port::lock(number.parse().ok()?)).collect();
        match ports {
            Some(ports) => {
                self.lock().insert(epoch.to_owned(), Held { ports, since: Instant::now() });
            }
            // Somebody else has them. Pods that start from now on get others.
            None => {
                let _ = fs::remove_file(file);
            }
        }
    }

    fn stored(&self) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(&self.folder)?.collect::<io::Result<Vec<_>>>()?;
        Ok(entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok()).collect())
    }

    fn store(&self, epoch: &str, numbers: &[u16]) -> io::Result<()> {
        let text = numbers.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
        fs::write(self.folder.join(epoch), text)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn numbers(&self) -> Vec<u16> {
        self.ports.iter().map(|port| port.number).collect()
    }
}

impl Port {
    /// Takes a number, unless another agent of this machine has it.
    fn lock(number: u16) -> Option<Port> {
        let name = SocketAddr::from_abstract_name(format!("muster-gang-port-{number}")).ok()?;
        UnixDatagram::bind_addr(&name).ok().map(|lock| Port { number, _lock: lock })
    }

    fn is_free(&self) -> bool {
        TcpListener::bind((Ipv4Addr::LOCALHOST, self.number)).is_ok()
    }
}

/// So many free ports, or none. Where the search begins depends on the attempt, so that attempts meet seldom.
fn choose(epoch: &str, count: u32) -> Option<Vec<Port>> {
    let range = range(&fs::read_to_string(KERNEL_RANGE).unwrap_or_default());
    let size = usize::from(range.end - range.start);
    let begin = epoch.bytes().fold(7usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % size;
    let numbers = range.cycle().skip(begin).take(size);
    let free = numbers.filter_map(Port::lock).filter(Port::is_free);
    let ports: Vec<Port> = free.take(count as usize).collect();
    (ports.len() == count as usize).then_some(ports)
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

    /// Tests that reserve ports, one after the other: what one gives back the other may take.
    static PORTS: Mutex<()> = Mutex::new(());

    #[test]
    fn an_attempt_keeps_its_ports_and_shares_none() {
        let _alone = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (agent, beside) = (GangPorts::open(one.path()).unwrap(), GangPorts::open(other.path()).unwrap());
        let first = agent.reserve(&epoch(1), 3, || seen(&[])).unwrap();
        assert_eq!(first.len(), 3);
        assert_eq!(agent.reserve(&epoch(1), 3, || seen(&[])).unwrap(), first);
        let second = beside.reserve(&epoch(1), 3, || seen(&[])).unwrap();
        assert!(first.iter().all(|port| !second.contains(port)), "{first:?} {second:?}");
        drop(agent);
        let again = GangPorts::open(one.path()).unwrap();
        assert_eq!(again.reserve(&epoch(1), 3, || seen(&[])).unwrap(), first);
    }

    #[test]
    fn ports_of_dead_attempts_go_back_and_those_in_use_are_passed_over() {
        let _alone = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
        let state = tempfile::tempdir().unwrap();
        let agent = GangPorts::open(state.path()).unwrap();
        let (dead, live_one) = (epoch(2), epoch(3));
        let first = agent.reserve(&dead, 1, || seen(&[])).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, first[0])).unwrap();
        let large = agent.reserve(&live_one, 300, || seen(&[(&dead, false), (&live_one, true)])).unwrap();
        assert_eq!(large.len(), 1, "too many for a list of peers");
        assert!(!state.path().join("gangs").join(&dead).exists());
        assert_ne!(
            agent.reserve(&dead, 1, || seen(&[(&dead, false), (&live_one, true)])).unwrap(),
            first,
            "it is in use"
        );
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
