//! `placement`: the engine alone, in this process. A fleet of 1,000 clusters, a queue of many kinds of jobs; cycles until the
//! queue has nothing left that fits. The figure is decisions (placed, or explained why not) per second of planning, with the
//! view's own upkeep.

use std::sync::Arc;
use std::time::Instant;

use muster_model::*;
use muster_placement::{PlacementPlan, View, plan};

use super::context::Context;
use super::figures::percentile;
use super::progress;
use super::report::{Role, Sample, Summary, Target};
use crate::splitmix::SplitMix64;

/// 2026-11-20T10:44:05Z: prices are of about then.
pub(super) const NOW: TimeMs = TimeMs(1_795_171_445_000);
const MODELS: [&str; 3] = ["NVIDIA-A100-SXM4-80GB", "NVIDIA-H100-80GB-HBM3", "NVIDIA-L4"];
const REGIONS: u64 = 20;

/// Measures.
pub fn measure(context: &Context) -> anyhow::Result<Vec<Sample>> {
    let (clusters, jobs) = context.amount((1_000, 50_000), (50, 1_000));
    let bar = progress::bar("queues placed", u64::from(context.runs));
    let mut samples = Vec::new();
    for run in 0..context.runs {
        samples.extend(drained(clusters, jobs, u64::from(run)));
        bar.inc(1);
    }
    Ok(samples)
}

/// Places a whole queue.
fn drained(clusters: u64, jobs: u64, seed: u64) -> Vec<Sample> {
    let mut fleet = Fleet::new(clusters, jobs, seed);
    let (mut placed, mut explained, mut cycles_ms) = (0, 0, Vec::new());
    let start = Instant::now();
    while fleet.view.wants_plan(NOW) {
        let cycle = Instant::now();
        let found = plan(&fleet.view, NOW);
        cycles_ms.push(cycle.elapsed().as_secs_f64() * 1000.0);
        placed += found.plan.assignments.len();
        explained += found.unplaced.len();
        fleet.apply(&found);
    }
    let seconds = start.elapsed().as_secs_f64();
    let case = format!("{clusters} clusters");
    let sample = |metric, unit, value| Sample::new(Role::Muster, &case, metric, unit, value);
    vec![
        sample("decisions", "1/s", (placed + explained) as f64 / seconds),
        sample("cycle p50", "ms", percentile(&cycles_ms, 0.5)),
        sample("cycle p99", "ms", percentile(&cycles_ms, 0.99)),
        sample("placed", "jobs", placed as f64),
    ]
}

/// What is stored, as apply would have it.
pub(super) struct Fleet {
    objects: std::collections::BTreeMap<Key, Arc<Object>>,
    pub(super) view: View,
    revision: u64,
}

impl Fleet {
    pub(super) fn new(clusters: u64, jobs: u64, seed: u64) -> Fleet {
        let mut fleet = Fleet { objects: Default::default(), view: View::default(), revision: 0 };
        let mut draw = SplitMix64(seed);
        fleet.put(Key::new(kinds::PRICE_BOOK, "", "prices"), Status::PriceBook(Arc::new(prices(&mut draw))));
        for number in 0..clusters {
            fleet.put(Key::cluster(&format!("cluster-{number}")), cluster(&mut draw));
        }
        let specs: Vec<Arc<JobSpec>> = (0..60).map(|_| Arc::new(job_spec(&mut draw))).collect();
        for number in 0..jobs {
            let spec = Arc::clone(&specs[usize::try_from(draw.below(60)).unwrap_or_default()]);
            fleet.put(Key::job("default", &format!("job-{number}")), queued(&spec, number));
        }
        fleet
    }

    pub(super) fn put(&mut self, key: Key, status: Status) {
        self.revision += 1;
        let old = self.objects.get(&key).cloned();
        let meta = Meta {
            uid: old.as_ref().map_or(Uid(u128::from(self.revision)), |old| old.meta.uid),
            created: NOW,
            generation: 1,
            revision: Revision(self.revision),
            deletion: None,
            finalizers: Vec::new(),
            owners: Vec::new(),
            idempotency: None,
        };
        let new = Arc::new(Object { key: key.clone(), meta, document: Document::default(), status });
        self.objects.insert(key.clone(), Arc::clone(&new));
        self.view.update(&Event::Changed { key, old, new: Some(new), revision: Revision(self.revision) });
    }

    /// A member as it is stored.
    pub(super) fn cluster(&self, key: &Key) -> Option<&Cluster> {
        self.objects.get(key)?.cluster()
    }

    /// What apply does with a plan, as far as the view sees it.
    pub(super) fn apply(&mut self, found: &PlacementPlan) {
        self.view.note(found);
        self.commit(found);
    }

    /// What apply does with a plan that the view was told of.
    pub(super) fn commit(&mut self, found: &PlacementPlan) {
        for (key, _, assignment) in &found.plan.assignments {
            let member = Key::cluster(assignment.member.as_str());
            let mut cluster = self.objects[&member].cluster().expect("a plan names members").clone();
            for claim in &assignment.claims {
                let amount = assignment.requests[usize::from(claim.pod_set)].times(u64::from(claim.pods));
                assert!(cluster.status.nodes.take(claim.node, &amount), "{key} takes more than is free");
            }
            let mut job = self.objects[key].job().expect("a plan names jobs").clone();
            job.phase = JobPhase::Active;
            self.put(member, Status::Cluster(Box::new(cluster)));
            self.put(key.clone(), Status::Job(Box::new(job)));
        }
    }
}

fn region(number: u64) -> Location {
    let provider = ["onprem", "aws", "gcp", "azure"][usize::try_from(number % 4).unwrap_or_default()];
    Location::region(provider, &format!("region-{number}"))
}

fn prices(draw: &mut SplitMix64) -> PriceBookSpec {
    let price = |(number, model): (u64, &str), draw: &mut SplitMix64| {
        let dollars = i64::try_from(1 + draw.below(5)).unwrap_or(1);
        let on_demand = MicroUsd(dollars * 1_000_000);
        GpuPrice {
            place: region(number),
            gpu_model: GpuModel::new(model),
            on_demand,
            spot: Some(MicroUsd(on_demand.0 * 2 / 5)),
            interruptions_milli_per_hour: draw.below(200),
            source: "synthetic".into(),
            as_of: NOW,
            held: None,
        }
    };
    let places = (0..REGIONS).flat_map(|number| MODELS.map(|model| (number, model)));
    PriceBookSpec {
        compute: places.map(|place| price(place, draw)).collect(),
        egress: Vec::new(),
        max_age: None,
    }
}

fn cluster(draw: &mut SplitMix64) -> Status {
    let place = draw.below(REGIONS);
    let price_class = match place % 4 {
        0 => PriceClass::OnPrem,
        1 => PriceClass::OnDemand,
        _ => PriceClass::Spot,
    };
    let spec = ClusterSpec {
        location: region(place),
        price_class,
        backend: Backend::Simulated,
        labels: Default::default(),
        taints: Vec::new(),
        unschedulable: false,
        transfer_bytes_per_second: None,
    };
    let shape = NodeShape {
        gpu_model: Some(GpuModel::new(MODELS[usize::try_from(draw.below(3)).unwrap_or_default()])),
        allocatable: Resources { gpu_milli: 8_000, cpu_milli: 96_000, memory_bytes: 1 << 40 },
        nodes: u32::try_from(4 + draw.below(28)).unwrap_or(4),
    };
    let status = ClusterStatus {
        joined_at: Some(NOW),
        ready: Readiness::Ready { since: NOW },
        nodes: Nodes::new(vec![shape]),
        can_fence: true,
        ..ClusterStatus::default()
    };
    Status::Cluster(Box::new(Cluster { spec, status }))
}

/// One to eight GPUs per pod; every fourth kind is a gang of up to eight pods; half of them insist on a model.
pub(super) fn job_spec(draw: &mut SplitMix64) -> JobSpec {
    let gpus = 1 << draw.below(4);
    let count = if draw.below(4) == 0 { u32::try_from(2 + draw.below(7)).unwrap_or(2) } else { 1 };
    let request = Resources { gpu_milli: gpus * 1000, cpu_milli: gpus * 8_000, memory_bytes: gpus << 36 };
    let model = MODELS.get(usize::try_from(draw.below(6)).unwrap_or_default());
    let placement = PlacementSpec {
        expected_duration: Some(DurationMs::from_secs(1800 + draw.below(36_000))),
        ..PlacementSpec::default()
    };
    JobSpec {
        pod_sets: vec![PodSet { name: "main".into(), count, request }],
        completion: Completion { parallelism: count, completions: Some(count), indexed: false },
        backoff_limit: 6,
        active_deadline: None,
        ttl_after_finished: None,
        grace: DurationMs::from_secs(30),
        suspend: false,
        placement: PlacementChoice::Inline(Arc::new(placement)),
        tolerations: Vec::new(),
        node_selector: Selector::default(),
        gpu_model: model.map(|model| GpuModel::new(*model)),
        rules: muster_model::JobRules::default(),
    }
}

pub(super) fn queued(spec: &Arc<JobSpec>, order: u64) -> Status {
    Status::Job(Box::new(Job::new(spec, TimeMs(NOW.0 - 1_000_000 + order))))
}

/// No figure is asked for yet; it is measured so that one can be.
pub fn targets(_: &Summary) -> Vec<Target> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_ends_and_the_same_seed_places_the_same() {
        let placed = |seed| drained(10, 200, seed).into_iter().find(|sample| sample.metric == "placed");
        let first = placed(1).expect("a figure");
        assert!(first.value > 100.0, "{} jobs found a place", first.value);
        assert_eq!(first, placed(1).expect("a figure"));
    }
}
