//! Where things are.

use std::fmt;
use std::sync::Arc;

/// A place: a provider (`aws`, `gcp`, `azure`, or `onprem`), a region (or site), and perhaps a zone in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// The provider.
    pub provider: Arc<str>,
    /// The region of a cloud, or the site on premises.
    pub region: Arc<str>,
    /// The zone; absent where the region is meant as a whole.
    pub zone: Option<Arc<str>>,
}

impl Location {
    /// A region as a whole.
    pub fn region(provider: &str, region: &str) -> Location {
        Location { provider: provider.into(), region: region.into(), zone: None }
    }

    /// Whether both are in the same region of the same provider.
    pub fn same_region(&self, other: &Location) -> bool {
        self.provider == other.provider && self.region == other.region
    }
}

impl fmt::Display for Location {
    /// `aws/us-east-1` or `aws/us-east-1/us-east-1a`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.region)?;
        self.zone.as_ref().map_or(Ok(()), |zone| write!(f, "/{zone}"))
    }
}
