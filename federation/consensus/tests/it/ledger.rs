//! The state machine of the tests: it remembers everything.

use std::io::{self, Read, Write};

use bytes::Bytes;
use muster_consensus::{ClusterId, FrozenState, Identity, MachineError, ReplicaId, StateMachine};

/// All entries ever applied, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    pub entries: Vec<(u64, Bytes)>,
    pub published: u64,
    pub restored: u64,
    /// Takes nonsense: for tests with hostile peers.
    pub lenient: bool,
}

#[derive(Debug)]
pub struct FrozenLedger(Vec<(u64, Bytes)>);

impl StateMachine for Ledger {
    type Answer = usize;
    type Frozen = FrozenLedger;

    fn apply(&mut self, index: u64, _: u64, bytes: &Bytes) -> Result<usize, MachineError> {
        if &bytes[..] == b"poison" {
            return Err("unknown entry type".into());
        }
        assert!(
            self.lenient || self.entries.last().is_none_or(|(last, _)| *last < index),
            "applied twice or out of order"
        );
        self.entries.push((index, bytes.clone()));
        Ok(self.entries.len())
    }

    fn applied_batch(&mut self, applied: u64) {
        assert!(self.lenient || applied > self.published);
        self.published = applied;
    }

    fn freeze(&mut self) -> FrozenLedger {
        FrozenLedger(self.entries.clone())
    }

    fn restore(&mut self, index: u64, reader: &mut dyn Read) -> Result<(), MachineError> {
        let mut all = Vec::new();
        reader.read_to_end(&mut all)?;
        let mut rest = &all[..];
        self.entries.clear();
        while let Some((header, after)) = rest.split_at_checked(12) {
            let at = u64::from_le_bytes(header[..8].try_into()?);
            let length = u32::from_le_bytes(header[8..].try_into()?) as usize;
            let (bytes, after) = after.split_at_checked(length).ok_or("an entry is cut off")?;
            self.entries.push((at, Bytes::copy_from_slice(bytes)));
            rest = after;
        }
        self.published = index - 1;
        self.restored = index;
        Ok(())
    }
}

impl FrozenState for FrozenLedger {
    fn write_to(self, out: &mut dyn Write) -> io::Result<()> {
        for (index, bytes) in self.0 {
            out.write_all(&index.to_le_bytes())?;
            out.write_all(&u32::try_from(bytes.len()).unwrap().to_le_bytes())?;
            out.write_all(&bytes)?;
        }
        Ok(())
    }
}

pub fn replica(id: u64) -> ReplicaId {
    ReplicaId::new(id).unwrap()
}

pub fn identity(id: u64) -> Identity {
    Identity { cluster: ClusterId(7), replica: replica(id) }
}
