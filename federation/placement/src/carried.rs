//! Data that members carry: what is missing at a member, from whom it comes, what that costs and how long it takes.
//!
//! ```text
//!  whole copy at the member ----> nothing to pay
//!  a transfer under way --------> its bytes are paid by the job it was begun for; only the wait counts
//!  otherwise -------------------> missing bytes x the cheapest route from a whole copy
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_model::{
    ClusterSpec, DataFetch, DataNeed, DataUse, Dataset, DurationMs, Key, Location, MemberName, MicroUsd,
    Transfer, TransferPhase, kinds,
};

use crate::basis::{Basis, Provenance, SpeedSource};
use crate::prices::Prices;
use crate::rejected::Rejected;
use crate::view::View;

/// A dataset that a job reads, with what the hub knows of it.
#[derive(Clone, Debug)]
pub struct NeededData {
    /// Its name.
    pub name: Arc<str>,
    /// Spec and copies.
    pub dataset: Arc<Dataset>,
    /// Where its namespace's transfers of it go.
    pub transfers: BTreeMap<MemberName, Arc<Transfer>>,
    /// Members with a whole copy that are in contact.
    pub sources: Vec<Source>,
}

/// A member that bytes can come from.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name.
    pub member: MemberName,
    /// Where it is.
    pub place: Location,
    /// Bytes of its copy.
    pub size_bytes: u64,
}

/// How a dataset gets to a member.
pub struct Carriage {
    /// What the assignment says of it.
    pub need: DataNeed,
    /// What it costs, and what that rests on.
    pub egress: (MicroUsd, Basis),
    /// The wait for its bytes, if there is one.
    pub wait: Option<Wait>,
}

/// The wait for bytes.
pub struct Wait {
    /// How many.
    pub bytes: u64,
    /// How long.
    pub wait: DurationMs,
    /// How fast they come.
    pub bytes_per_second: u64,
    /// Where that is from.
    pub source: SpeedSource,
}

/// One way for the bytes.
struct Route<'a> {
    source: &'a Source,
    price: Option<(MicroUsd, Provenance)>,
    bytes_per_second: Option<u64>,
}

impl NeededData {
    /// Looks up what a job of this namespace names.
    pub fn new(view: &View, namespace: &str, name: &Arc<str>) -> Result<NeededData, Rejected> {
        let key = Key::new(kinds::DATASET, namespace, name);
        let dataset = view.dataset(&key).ok_or_else(|| Rejected::DatasetMissing(Arc::clone(name)))?;
        let source = |member: &MemberName| {
            let copy = dataset.whole_at(member)?;
            let there = view.member(member).filter(|there| there.is_in_contact())?;
            Some(Source {
                member: member.clone(),
                place: there.cluster().spec.location.clone(),
                size_bytes: copy.size_bytes,
            })
        };
        Ok(NeededData {
            name: Arc::clone(name),
            sources: dataset.copies.keys().filter_map(source).collect(),
            transfers: view.transfers(&key).cloned().unwrap_or_default(),
            dataset,
        })
    }

    /// What members are to carry; `None` if its copies are what its spec says they are.
    pub fn carried(&self) -> Option<DataUse> {
        let digest = self.dataset.spec.digest?;
        Some(DataUse {
            dataset: Arc::clone(&self.name),
            version: Arc::clone(&self.dataset.spec.version),
            digest,
        })
    }

    /// How it gets to a member; `Err` if it cannot now.
    pub fn carriage(
        &self,
        data: DataUse,
        prices: &Prices,
        (member, spec): (&MemberName, &ClusterSpec),
    ) -> Result<Carriage, Rejected> {
        let (name, version) = (Arc::clone(&self.name), Arc::clone(&data.version));
        if self.dataset.whole_at(member).is_some() {
            let basis = Basis::AtMember { dataset: name, version, member: member.clone() };
            let need = DataNeed { data, fetch: None };
            return Ok(Carriage { need, egress: (MicroUsd(0), basis), wait: None });
        }
        let transfer = self.transfers.get(member).filter(|transfer| transfer.data == data);
        match transfer.map(|transfer| (transfer, &transfer.phase)) {
            Some((transfer, TransferPhase::Failed { at, reason })) => Err(Rejected::TransferFailed {
                dataset: name,
                source: transfer.source.clone(),
                reason: Arc::clone(reason),
                again: at.plus(Transfer::FAILED_TTL),
            }),
            Some((transfer, TransferPhase::Open)) => Ok(self.in_flight(data, transfer, prices, spec)),
            Some((_, TransferPhase::Complete { .. })) | None => self.fetch(data, prices, (member, spec)),
        }
    }

    fn in_flight(&self, data: DataUse, transfer: &Transfer, prices: &Prices, spec: &ClusterSpec) -> Carriage {
        let left = transfer.progress.missing_bytes;
        let basis = Basis::InFlight {
            dataset: Arc::clone(&self.name),
            version: Arc::clone(&data.version),
            bytes: left,
            source: transfer.source.clone(),
            job: Arc::clone(&transfer.job.name),
        };
        let source = self.sources.iter().find(|source| source.member == transfer.source);
        let speed = source.and_then(|source| route(source, prices, spec)?.bytes_per_second);
        let wait = wait(left, speed, spec);
        Carriage { need: DataNeed { data, fetch: None }, egress: (MicroUsd(0), basis), wait }
    }

    fn fetch(
        &self,
        data: DataUse,
        prices: &Prices,
        (member, spec): (&MemberName, &ClusterSpec),
    ) -> Result<Carriage, Rejected> {
        let name = || Arc::clone(&self.name);
        let first = self
            .sources
            .first()
            .ok_or_else(|| Rejected::NoCopy { dataset: name(), version: Arc::clone(&data.version) })?;
        let routes = self.sources.iter().filter_map(|source| route(source, prices, spec));
        let per_gib = |route: &Route<'_>| route.price.as_ref().map_or(MicroUsd(0), |(per_gib, _)| *per_gib);
        let best = routes.min_by_key(|route| {
            let slowness = u64::MAX - route.bytes_per_second.unwrap_or(u64::MAX);
            (per_gib(route), slowness, &route.source.member)
        });
        let no_route = || Rejected::NoRoute {
            dataset: name(),
            from: first.place.clone(),
            to: Location { zone: None, ..spec.location.clone() },
        };
        let route = best.ok_or_else(no_route)?;
        let size = route.source.size_bytes;
        let bytes = self.dataset.copies.get(member).map_or(size, |partial| partial.missing_bytes);
        let egress = per_gib(&route).for_bytes(bytes);
        let basis = Basis::Fetch {
            dataset: name(),
            version: Arc::clone(&data.version),
            bytes,
            size,
            source: route.source.member.clone(),
            from: Location { zone: None, ..route.source.place.clone() },
            to: Location { zone: None, ..spec.location.clone() },
            price: route.price,
        };
        let fetch = DataFetch { source: route.source.member.clone(), bytes, egress };
        let wait = wait(bytes, route.bytes_per_second, spec);
        Ok(Carriage { need: DataNeed { data, fetch: Some(fetch) }, egress: (egress, basis), wait })
    }
}

/// Within a region bytes cost nothing unless a book says otherwise; between regions a book must say what they cost.
fn route<'a>(source: &'a Source, prices: &Prices, to: &ClusterSpec) -> Option<Route<'a>> {
    match prices.egress(&source.place, &to.location) {
        Some(figure) if figure.price.mbps > 0 => Some(Route {
            source,
            price: Some((figure.price.per_gib, figure.provenance())),
            bytes_per_second: Some(figure.price.mbps.saturating_mul(125_000)),
        }),
        _ if source.place.same_region(&to.location) => {
            Some(Route { source, price: None, bytes_per_second: None })
        }
        _ => None,
    }
}

/// The slower of the route and the member's limit. Where nobody knows a speed, nobody knows how long it takes.
fn wait(bytes: u64, route: Option<u64>, spec: &ClusterSpec) -> Option<Wait> {
    let limit = spec.transfer_bytes_per_second;
    let (bytes_per_second, source) = match (route, limit) {
        (Some(route), Some(limit)) if limit < route => (limit, SpeedSource::Limit),
        (Some(route), _) => (route, SpeedSource::Route),
        (None, Some(limit)) => (limit, SpeedSource::Limit),
        (None, None) => return None,
    };
    let ms = (u128::from(bytes) * 1000).div_ceil(u128::from(bytes_per_second.max(1)));
    let wait = DurationMs(u64::try_from(ms).unwrap_or(u64::MAX));
    Some(Wait { bytes, wait, bytes_per_second, source })
}
