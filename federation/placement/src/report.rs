//! What placement says of one job: where it could run, at what price, and why not elsewhere. The data of `muster plan`
//! and of `muster why`.

use std::fmt;
use std::sync::Arc;

use muster_model::{CostKind, GpuModel, Key, MemberName, Revision, TimeMs};

use crate::cost::Quote;
use crate::rejected::Rejected;
use crate::text::count;

/// Whether a job can be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It has a place now.
    Now,
    /// Some cluster could hold it, later.
    Wait,
    /// No cluster ever could, as things stand.
    Never,
}

impl Verdict {
    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Now => "now",
            Verdict::Wait => "wait",
            Verdict::Never => "never",
        }
    }
}

/// What placement says of one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacementReport {
    /// The job.
    pub job: Key,
    /// Whether it can be placed.
    pub verdict: Verdict,
    /// Where it would go now.
    pub chosen: Option<MemberName>,
    /// The revision that this is of.
    pub revision: Revision,
    /// What keeps the job from any cluster, such as a missing `Placement`.
    pub obstacle: Option<Rejected>,
    /// What is reserved for it, once it has waited long.
    pub reserved: Option<Reserved>,
    /// The clusters: those that can take it now, best first, then the others by name.
    pub clusters: Vec<ClusterReport>,
}

/// Nodes that are reserved for a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// Where.
    pub member: MemberName,
    /// How many.
    pub nodes: usize,
    /// Since then.
    pub since: TimeMs,
    /// The jobs that still run on them.
    pub waits_for: Vec<Key>,
    /// When these have ended at the latest, if that is known.
    pub ends: Option<TimeMs>,
}

/// What placement says of one job at one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterReport {
    /// The cluster.
    pub name: MemberName,
    /// The GPU model it would use.
    pub gpu_model: Option<GpuModel>,
    /// What it costs; absent where a rule forbids it before a price is asked.
    pub quote: Option<Quote>,
    /// Why not; `None` if it can take the job now.
    pub rejected: Option<Rejected>,
}

impl ClusterReport {
    /// Whether it can take the job now.
    pub fn is_feasible(&self) -> bool {
        self.rejected.is_none()
    }
}

impl PlacementReport {
    /// One sentence: where it goes, or what it waits for.
    pub fn summary(&self) -> String {
        if let Some(obstacle) = &self.obstacle {
            return obstacle.to_string();
        }
        match (self.verdict, self.nearest()) {
            (Verdict::Now, _) => self.summary_now(),
            (_, None) => "no cluster has joined the federation".to_owned(),
            (Verdict::Wait, Some((cluster, reason))) => {
                let reserved = self.reserved.as_ref().map(|it| format!("; {it}")).unwrap_or_default();
                format!("no cluster can take it now; {}: {reason}{reserved}", cluster.name)
            }
            (Verdict::Never, Some((cluster, reason))) => {
                format!("no cluster can ever take it as it is; {}: {reason}", cluster.name)
            }
        }
    }

    /// The smallest change that would admit it; `None` if it can be placed now.
    pub fn smallest_fix(&self) -> Option<String> {
        let no_cluster = || "join one: `muster cluster join NAME`".to_owned();
        match (&self.obstacle, self.verdict) {
            (Some(obstacle), _) => Some(obstacle.fix()),
            (None, Verdict::Now) => None,
            (None, _) => {
                Some(self.nearest().map_or_else(no_cluster, |(cluster, reason)| {
                    format!("{}: {}", cluster.name, reason.fix())
                }))
            }
        }
    }

    /// The reason of each cluster that does not take it now.
    pub fn reasons(&self) -> impl Iterator<Item = (&MemberName, &Rejected)> {
        self.clusters.iter().filter_map(|cluster| Some((&cluster.name, cluster.rejected.as_ref()?)))
    }

    fn summary_now(&self) -> String {
        let chosen = self.clusters.iter().find(|cluster| Some(&cluster.name) == self.chosen.as_ref());
        let total =
            chosen.and_then(|c| c.quote.as_ref()).map(|q| format!(" for ${}", q.total)).unwrap_or_default();
        let name = self.chosen.as_ref().map(MemberName::as_str).unwrap_or_default();
        format!("can start now on {name}{total}")
    }

    /// The cluster that is closest to taking it: one where waiting is enough, else where the least would have to
    /// change; of these the cheapest.
    fn nearest(&self) -> Option<(&ClusterReport, &Rejected)> {
        let rejected = self.clusters.iter().filter_map(|c| Some((c, c.rejected.as_ref()?)));
        rejected.min_by_key(|(cluster, reason)| {
            let total = cluster.quote.as_ref().map(|quote| quote.total);
            (!reason.is_temporary(), u8::MAX - reason.depth(), total.is_none(), total, cluster.name.clone())
        })
    }
}

impl fmt::Display for Reserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = count(self.nodes as u64, "Node");
        write!(f, "{nodes} of {} reserved for it since {}", self.member, self.since)?;
        if let Some((first, rest)) = self.waits_for.split_first() {
            write!(f, ", waits there for {}/{}", first.namespace, first.name)?;
            if !rest.is_empty() {
                write!(f, " and {}", count(rest.len() as u64, "other job"))?;
            }
        }
        self.ends.map_or(Ok(()), |ends| write!(f, ", until {ends} at the latest"))
    }
}

impl fmt::Display for PlacementReport {
    /// A price table for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}/{}: {}", self.job.namespace, self.job.name, self.summary())?;
        for cluster in &self.clusters {
            let model = cluster.gpu_model.as_ref().map(|m| format!(" on {m}")).unwrap_or_default();
            let total = cluster.quote.as_ref().map(|q| format!(" ${}{model}", q.total)).unwrap_or_default();
            writeln!(f, "  {}{total}", cluster.name)?;
            for line in cluster.quote.iter().flat_map(|quote| &quote.lines) {
                writeln!(f, "    {} ${}: {}", kind_text(line.kind), line.amount, line.basis)?;
            }
            if let Some(reason) = &cluster.rejected {
                writeln!(f, "    no: {reason}")?;
                writeln!(f, "    fix: {}", reason.fix())?;
            }
        }
        Ok(())
    }
}

/// The name of a kind of cost in the API.
pub fn kind_text(kind: CostKind) -> &'static str {
    match kind {
        CostKind::Compute => "compute",
        CostKind::Waste => "waste",
        CostKind::Egress => "egress",
        CostKind::TransferWait => "transferWait",
        CostKind::QueueWait => "queueWait",
    }
}

/// Why this place, for the job's history: `lowest total of 3 clusters: $9.60; onprem-a is cheaper and has no room now`.
pub fn because(total: &Quote, considered: usize, cheaper: &[&MemberName]) -> Arc<str> {
    let mut text = match considered {
        1 => format!("the only cluster that may run it: ${}", total.total),
        n => format!("lowest total of {n} clusters that may run it: ${}", total.total),
    };
    if let Some((first, rest)) = cheaper.split_first() {
        let verb = if rest.is_empty() { "is cheaper and has" } else { "and others are cheaper and have" };
        text.push_str(&format!("; {first} {verb} no room now"));
    }
    text.into()
}
