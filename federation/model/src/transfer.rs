//! Copies of datasets at members, and the transfers that make them.
//!
//! A dataset whose spec has a digest is *carried*: members hold its files, the hub knows which member holds which bytes,
//! and a job starts only where a whole copy of the right content lies. A transfer brings what is missing to one member.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::{DatasetSpec, DurationMs, Epoch, Key, Location, MemberName, MicroUsd, TimeMs, Uid, kinds};

/// SHA-256 over the manifest of a dataset: its files with their sizes and the hashes of their chunks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentDigest(pub [u8; 32]);

impl ContentDigest {
    const PREFIX: &str = "sha256:";
}

impl fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The text is not `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be sha256: and 64 hexadecimal digits, as `muster dataset digest FOLDER` prints it")]
pub struct ParseDigestError;

impl FromStr for ContentDigest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<ContentDigest, ParseDigestError> {
        let hex = text.strip_prefix(Self::PREFIX).ok_or(ParseDigestError)?;
        if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ParseDigestError);
        }
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).map_err(|_| ParseDigestError)?;
        }
        Ok(ContentDigest(bytes))
    }
}

/// A dataset, and which members hold which bytes of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Dataset {
    /// As its document says.
    pub spec: Arc<DatasetSpec>,
    /// Copies of this version and content, whole or in part.
    pub copies: BTreeMap<MemberName, DataCopy>,
}

/// What one member holds of one version of a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DataCopy {
    /// The version.
    pub version: Arc<str>,
    /// The content that it is, or will be when nothing is missing.
    pub digest: ContentDigest,
    /// Bytes of a whole copy.
    pub size_bytes: u64,
    /// Bytes of it that are not there.
    pub missing_bytes: u64,
    /// The folder, for agents of the same machine.
    pub folder: Arc<str>,
}

/// One version of a dataset that pods read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DataUse {
    /// Its name; it is in the job's namespace.
    pub dataset: Arc<str>,
    /// The version.
    pub version: Arc<str>,
    /// The content.
    pub digest: ContentDigest,
}

/// One version of a dataset that an assignment needs at its member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DataNeed {
    /// What.
    pub data: DataUse,
    /// How it gets there; `None`: it is there, or on its way.
    pub fetch: Option<DataFetch>,
}

/// How the bytes that are missing get to a member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DataFetch {
    /// The member that they come from.
    pub source: MemberName,
    /// How many.
    pub bytes: u64,
    /// What that costs; part of the assignment's one-off lines.
    pub egress: MicroUsd,
}

/// A transfer: the missing bytes of one version of a dataset, on their way to one member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Transfer {
    /// What.
    pub data: DataUse,
    /// From.
    pub source: MemberName,
    /// To.
    pub target: MemberName,
    /// Where the source has it, for agents of the same machine.
    pub folder: Arc<str>,
    /// Bytes that were missing at the beginning.
    pub bytes: u64,
    /// What moving them costs.
    pub egress: MicroUsd,
    /// The job that it was begun for, in whose books the cost is.
    pub job: Key,
    /// The job's attempt.
    pub epoch: Epoch,
    /// When it began.
    pub started: TimeMs,
    /// What the target said last.
    pub progress: TransferProgress,
    /// How it stands.
    pub phase: TransferPhase,
}

/// How far a transfer is, as the target counts it over all lives of its agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TransferProgress {
    /// Bytes not there yet.
    pub missing_bytes: u64,
    /// Bytes that were read from the source, those that were thrown away included.
    pub fetched_bytes: u64,
    /// Chunks that came damaged, or were found damaged at the end, and were fetched again.
    pub refetched_chunks: u32,
}

/// How a transfer stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TransferPhase {
    /// Bytes move, or will.
    Open,
    /// The target has a whole copy.
    Complete {
        /// Since then.
        at: TimeMs,
    },
    /// It was given up.
    Failed {
        /// When.
        at: TimeMs,
        /// Why, and what would help.
        reason: Arc<str>,
    },
}

/// What the hub wants of the target of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferOrder {
    /// The transfer.
    pub transfer: Key,
    /// Its uid.
    pub uid: Uid,
    /// What to fetch.
    pub data: DataUse,
    /// From whom.
    pub source: MemberName,
    /// The source's folder.
    pub folder: Arc<str>,
    /// Bytes per second that the member may take in, all transfers together.
    pub bytes_per_second: Option<u64>,
}

/// What a member has, and how its transfers are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataReport {
    /// Everything it holds, whole or in part, each dataset once.
    pub copies: Vec<HeldCopy>,
    /// Transfers to it.
    pub transfers: Vec<TransferNews>,
}

/// What a member holds of one dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldCopy {
    /// The dataset.
    pub dataset: Key,
    /// The copy.
    pub copy: DataCopy,
}

/// How a transfer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferNews {
    /// The transfer.
    pub transfer: Key,
    /// Its uid.
    pub uid: Uid,
    /// How far it is.
    pub progress: TransferProgress,
    /// Set when the target gave it up: why. That it is complete is seen by the copy.
    pub failed: Option<Arc<str>>,
}

/// A change of what a member has, to be committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportData {
    /// The member.
    pub member: MemberName,
    /// Copies that are new or changed.
    pub copies: Vec<HeldCopy>,
    /// Datasets of which it has nothing any more.
    pub gone: Vec<Key>,
    /// News of transfers to it.
    pub transfers: Vec<TransferNews>,
}

impl Dataset {
    /// A dataset of which nobody is known to hold anything.
    pub fn new(spec: &Arc<DatasetSpec>) -> Dataset {
        Dataset { spec: Arc::clone(spec), copies: BTreeMap::new() }
    }

    /// The same dataset under another spec: copies of other content are none of it.
    pub fn with_spec(&self, spec: &Arc<DatasetSpec>) -> Dataset {
        let spec = Arc::clone(spec);
        let is_of_it = |copy: &DataCopy| spec.digest == Some(copy.digest) && spec.version == copy.version;
        let kept = self.copies.iter().filter(|(_, copy)| is_of_it(copy));
        Dataset { copies: kept.map(|(member, copy)| (member.clone(), copy.clone())).collect(), spec }
    }

    /// Whether this copy is of the dataset's version and content.
    pub fn is_of_it(&self, copy: &DataCopy) -> bool {
        self.spec.digest == Some(copy.digest) && self.spec.version == copy.version
    }

    /// Whether this is the version and content that the dataset has now.
    pub fn offers(&self, data: &DataUse) -> bool {
        self.spec.digest == Some(data.digest) && self.spec.version == data.version
    }

    /// The member's copy, if nothing of it is missing.
    pub fn whole_at(&self, member: &MemberName) -> Option<&DataCopy> {
        self.copies.get(member).filter(|copy| copy.is_whole())
    }

    /// Whether bytes of it may be brought to this place.
    pub fn may_go_to(&self, place: &Location) -> bool {
        self.spec.allows(place) || crate::mutant!(transfers_ignore_regions)
    }
}

impl DataCopy {
    /// Whether nothing is missing.
    pub fn is_whole(&self) -> bool {
        self.missing_bytes == 0
    }
}

impl Transfer {
    /// How long a failed one is kept: so long the same is not tried again.
    pub const FAILED_TTL: DurationMs = DurationMs::from_secs(120);
    /// How long a complete one is kept for people.
    pub const COMPLETE_TTL: DurationMs = DurationMs::HOUR;

    /// Whether bytes move, or will.
    pub fn is_open(&self) -> bool {
        self.phase == TransferPhase::Open
    }

    /// When it goes; `None` while it is open.
    pub fn expires(&self) -> Option<TimeMs> {
        match self.phase {
            TransferPhase::Open => None,
            TransferPhase::Complete { at } => Some(at.plus(Self::COMPLETE_TTL)),
            TransferPhase::Failed { at, .. } => Some(at.plus(Self::FAILED_TTL)),
        }
    }

    /// Its dataset.
    pub fn dataset(&self, namespace: &str) -> Key {
        Key::new(kinds::DATASET, namespace, &self.data.dataset)
    }

    /// The part of its cost that was not spent: of bytes that were never fetched.
    pub fn unspent(&self) -> MicroUsd {
        let left = self.bytes.saturating_sub(self.progress.fetched_bytes);
        if self.bytes == 0 {
            return MicroUsd(0);
        }
        self.egress.scaled(i128::from(left), i128::from(self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_it_is_written_and_nothing_else_is() {
        let digest = ContentDigest([0xa7; 32]);
        assert_eq!(digest.to_string().parse(), Ok(digest));
        let hex = "a7".repeat(32);
        for wrong in [hex.clone(), format!("sha256:{}", &hex[2..]), format!("sha256:{}zz", &hex[2..])] {
            assert_eq!(wrong.parse::<ContentDigest>(), Err(ParseDigestError), "{wrong}");
        }
    }
}
