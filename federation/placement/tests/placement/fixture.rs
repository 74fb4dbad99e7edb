//! Fleets, prices and jobs in a few lines of text.
//!
//! ```text
//!  member NAME onPrem|onDemand|spot PROVIDER/REGION[/ZONE] NODES.. [cordoned lapsed unheard unjoined nofence deleting]
//!                                   [label:K=V] [taint:K=V:EFFECT]      NODES = COUNT*GPUSxMODEL[@TAKEN] | COUNT*cpuCORES
//!  price PLACE MODEL ON_DEMAND [spot=USD] [int=INTERRUPTIONS_MILLI]
//!  egress FROM TO PER_GIB MBPS
//!  dataset NAME GIB REPLICA,.. [allowed=REGION,..]
//!  namespace wait=USD
//!  placement NAME OPTIONS..
//!  job NAME PODSxGPUS [PODSxGPUS] [cpu=CORES] [model=M] [node:K=V] [tol=KEY] [active=S] [place=NAME] OPTIONS..
//!  OPTIONS = spot=U max=USD for=MINUTES deadline=MINUTES ckpt=MINUTES policy=P fence=S data=NAME,.. sel:K=V gpus=any|ordered:M[:N],..
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_model::*;
use muster_placement::{PlacementReport, View, explain};

/// 2026-11-20T10:44:05Z.
pub const NOW: TimeMs = TimeMs(1_795_171_445_000);

/// Everything stored, by key, and the view of it.
#[derive(Clone, Default)]
pub struct World {
    pub objects: BTreeMap<Key, Arc<Object>>,
    pub view: View,
    pub revision: u64,
}

/// A world of these lines.
pub fn world(text: &str) -> World {
    let mut world = World::default();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        world.line(line);
    }
    world
}

impl World {
    /// Takes in one line.
    pub fn line(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (key, status) = match words[0] {
            "member" => (Key::new(kinds::CLUSTER, "", words[1]), cluster(&words)),
            "price" => (Key::new(kinds::PRICE_BOOK, "", line), price(&words)),
            "egress" => (Key::new(kinds::PRICE_BOOK, "", line), egress(&words)),
            "dataset" => (Key::new(kinds::DATASET, "default", words[1]), dataset(&words)),
            "namespace" => (Key::new(kinds::NAMESPACE, "", "default"), namespace(&words)),
            "placement" => (
                Key::new(kinds::PLACEMENT, "default", words[1]),
                Status::Placement(Arc::new(options(&words[2..]))),
            ),
            "job" => (Key::job("default", words[1]), job(&words, self.revision)),
            other => panic!("no line starts with {other}"),
        };
        let deleting = words.contains(&"deleting");
        self.put(key, status, deleting);
    }

    /// Stores a status and tells the view.
    pub fn put(&mut self, key: Key, status: Status, deleting: bool) {
        self.revision += 1;
        let old = self.objects.get(&key).cloned();
        let meta = Meta {
            uid: Uid(u128::from(self.revision)),
            created: NOW,
            generation: 1,
            revision: Revision(self.revision),
            deletion: deleting.then_some(Deletion { at: NOW, grace_s: 0 }),
            finalizers: vec![],
            owners: vec![],
            idempotency: None,
        };
        let meta = old.as_ref().map_or(meta.clone(), |old| Meta { uid: old.meta.uid, ..meta });
        let new = Arc::new(Object { key: key.clone(), meta, document: Document::default(), status });
        self.objects.insert(key.clone(), Arc::clone(&new));
        let revision = Revision(self.revision);
        self.view.update(&Event::Changed { key, old, new: Some(new), revision });
    }

    /// Removes an object and tells the view.
    pub fn remove(&mut self, key: &Key) {
        self.revision += 1;
        let old = self.objects.remove(key);
        let revision = Revision(self.revision);
        self.view.update(&Event::Changed { key: key.clone(), old, new: None, revision });
    }

    pub fn job(&self, name: &str) -> &Job {
        self.objects[&Key::job("default", name)].job().expect("a job")
    }

    pub fn cluster(&self, name: &str) -> &Cluster {
        self.objects[&Key::cluster(name)].cluster().expect("a cluster")
    }

    pub fn explain(&self, name: &str) -> PlacementReport {
        explain(&self.view, &Key::job("default", name), &self.job(name).spec, NOW)
    }

    /// Does what apply does with assignments, and grants them; fails where apply would refuse.
    pub fn apply(&mut self, plan: &Plan) {
        self.apply_at(plan, NOW);
    }

    /// The same at another time.
    pub fn apply_at(&mut self, plan: &Plan, now: TimeMs) {
        for (key, uid, assignment) in &plan.assignments {
            let object = Arc::clone(&self.objects[key]);
            assert_eq!(object.meta.uid, *uid);
            let mut job = object.job().expect("a job").clone();
            assert_eq!(job.phase, JobPhase::Queued);
            job.phase = JobPhase::Active;
            job.attempt = Some(Box::new(Attempt {
                epoch: Epoch(self.revision),
                assignment: assignment.clone(),
                granted_at: now,
                incarnation: None,
                state: AttemptState::Granted,
            }));
            let mut cluster = self.cluster(assignment.member.as_str()).clone();
            for claim in &assignment.claims {
                let amount = assignment.requests[usize::from(claim.pod_set)].times(u64::from(claim.pods));
                assert!(cluster.status.nodes.take(claim.node, &amount), "{key} takes more than is free");
            }
            self.put(Key::cluster(assignment.member.as_str()), Status::Cluster(Box::new(cluster)), false);
            self.put(key.clone(), Status::Job(Box::new(job)), false);
        }
    }
}

fn option<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    words.iter().find_map(|word| word.strip_prefix(name))
}

fn pairs(words: &[&str], prefix: &str) -> Vec<(Arc<str>, Arc<str>)> {
    let found = words.iter().filter_map(|word| word.strip_prefix(prefix)?.split_once('='));
    found.map(|(k, v)| (k.into(), v.into())).collect()
}

fn list(text: &str) -> Vec<Arc<str>> {
    text.split(',').filter(|part| !part.is_empty()).map(Into::into).collect()
}

pub fn place(text: &str) -> Location {
    let mut parts = text.split('/');
    let mut part = || parts.next();
    Location {
        provider: part().expect("a provider").into(),
        region: part().expect("a region").into(),
        zone: part().map(Into::into),
    }
}

fn usd(text: &str) -> MicroUsd {
    text.parse().expect("money")
}

fn minutes(text: &str) -> DurationMs {
    DurationMs::from_secs(text.parse::<u64>().expect("minutes") * 60)
}

fn cluster(words: &[&str]) -> Status {
    let price_class = match words[2] {
        "onPrem" => PriceClass::OnPrem,
        "onDemand" => PriceClass::OnDemand,
        _ => PriceClass::Spot,
    };
    let taint = |(key, rest): (Arc<str>, Arc<str>)| {
        let (value, effect) = rest.split_once(':').expect("VALUE:EFFECT");
        let effect = match effect {
            "NoSchedule" => TaintEffect::NoSchedule,
            "NoExecute" => TaintEffect::NoExecute,
            _ => TaintEffect::PreferNoSchedule,
        };
        Taint { key, value: value.into(), effect }
    };
    let spec = ClusterSpec {
        location: place(words[3]),
        price_class,
        backend: Backend::Simulated,
        labels: pairs(words, "label:").into_iter().collect(),
        taints: pairs(words, "taint:").into_iter().map(taint).collect(),
        unschedulable: words.contains(&"cordoned"),
        transfer_bytes_per_second: option(words, "limit=")
            .map(|text| text.parse().expect("bytes per second")),
    };
    let ready = match () {
        () if words.contains(&"unheard") => Readiness::Unknown,
        () if words.contains(&"lapsed") => Readiness::Lapsed { since: NOW },
        () => Readiness::Ready { since: NOW },
    };
    let status = ClusterStatus {
        joined_at: (!words.contains(&"unjoined")).then_some(NOW),
        ready,
        nodes: nodes(words.iter().filter(|word| word.contains('*'))),
        can_fence: !words.contains(&"nofence"),
        ..ClusterStatus::default()
    };
    Status::Cluster(Box::new(Cluster { spec, status }))
}

fn nodes<'a>(words: impl Iterator<Item = &'a &'a str>) -> Nodes {
    let (mut shapes, mut taken) = (Vec::new(), Vec::new());
    for word in words {
        let (count, what) = word.split_once('*').expect("COUNT*WHAT");
        let (what, used) = what.split_once('@').unwrap_or((what, "0"));
        let (cores, gpus, model) = match what.strip_prefix("cpu") {
            Some(cores) => (cores.parse().expect("cores"), 0, None),
            None => {
                let (gpus, model) = what.split_once('x').expect("GPUSxMODEL");
                (96, gpus.parse().expect("GPUs"), Some(GpuModel::new(model)))
            }
        };
        let allocatable =
            Resources { gpu_milli: gpus * 1000, cpu_milli: cores * 1000, memory_bytes: cores << 32 };
        shapes.push(NodeShape { gpu_model: model, allocatable, nodes: count.parse().expect("a count") });
        taken.push(used.parse::<u64>().expect("GPUs taken") * 1000);
    }
    let mut nodes = Nodes::new(shapes);
    for node in &mut nodes.free {
        node.free.gpu_milli -= taken[usize::from(node.shape)];
    }
    nodes
}

fn price(words: &[&str]) -> Status {
    let price = GpuPrice {
        place: place(words[1]),
        gpu_model: GpuModel::new(words[2]),
        on_demand: usd(words[3]),
        spot: option(words, "spot=").map(usd),
        interruptions_milli_per_hour: option(words, "int=")
            .map_or(0, |text| text.parse().expect("thousandths")),
        source: "sample".into(),
        as_of: TimeMs(1_790_000_000_000),
        held: None,
    };
    Status::PriceBook(Arc::new(PriceBookSpec { compute: vec![price], egress: vec![], max_age: None }))
}

fn egress(words: &[&str]) -> Status {
    let price = EgressPrice {
        from: place(words[1]),
        to: place(words[2]),
        per_gib: usd(words[3]),
        mbps: words[4].parse().expect("mbps"),
        source: "sample".into(),
        as_of: TimeMs(1_790_000_000_000),
        held: None,
    };
    Status::PriceBook(Arc::new(PriceBookSpec { compute: vec![], egress: vec![price], max_age: None }))
}

fn dataset(words: &[&str]) -> Status {
    let replicas = words.get(3).filter(|word| word.contains('/')).map_or("", |word| *word);
    Status::Dataset(Arc::new(Dataset::new(&Arc::new(DatasetSpec {
        version: "1".into(),
        size_bytes: words[2].parse::<u64>().expect("GiB") << 30,
        replicas: list(replicas).iter().map(|text| place(text)).collect(),
        allowed_regions: option(words, "allowed=").map(list).unwrap_or_default(),
        partial: pairs(words, "part:").iter().map(part).collect(),
        digest: words.contains(&"carried").then_some(ContentDigest([1; 32])),
    }))))
}

/// `part:PROVIDER/REGION=GIB`.
fn part((region, gib): &(Arc<str>, Arc<str>)) -> PartialReplica {
    PartialReplica { place: place(region), held_bytes: gib.parse::<u64>().expect("GiB") << 30 }
}

fn namespace(words: &[&str]) -> Status {
    let wait_cost_per_hour = option(words, "wait=").map(usd).unwrap_or_default();
    Status::Namespace(NamespaceSpec { wait_cost_per_hour })
}

fn requirements(words: &[&str], prefix: &str) -> Selector {
    Selector(pairs(words, prefix).into_iter().map(|(k, v)| Requirement::In(k, vec![v])).collect())
}

fn options(words: &[&str]) -> PlacementSpec {
    PlacementSpec {
        cluster_selector: requirements(words, "sel:"),
        gpus: option(words, "gpus=").map(gpu_choices).unwrap_or_default(),
        datasets: option(words, "data=").map(list).unwrap_or_default(),
        spot: match option(words, "spot=") {
            Some("never") => SpotUse::Never,
            Some("require") => SpotUse::Require,
            _ => SpotUse::Prefer,
        },
        max_hourly_cost: option(words, "max=").map(usd),
        expected_duration: option(words, "for=").map(minutes),
        deadline: option(words, "deadline=").map(|text| NOW.plus(minutes(text))),
        checkpoint: option(words, "ckpt=").map(|text| Checkpoint {
            path: "ckpt".into(),
            interval: minutes(text),
            size_bytes: 0,
        }),
        partition_policy: match option(words, "policy=") {
            Some("Fence") => PartitionPolicy::Fence,
            Some("DuplicateOk") => PartitionPolicy::DuplicateOk,
            _ => PartitionPolicy::Keep,
        },
        fence_after: option(words, "fence=")
            .map(|text| DurationMs::from_secs(text.parse().expect("seconds"))),
    }
}

fn gpu_choices(text: &str) -> GpuChoices {
    let (how, models) = text.split_once(':').expect("any|ordered:MODELS");
    let choice = |text: &str| {
        let (model, count) =
            text.split_once(':').map_or((text, None), |(m, n)| (m, Some(n.parse().expect("GPUs"))));
        GpuChoice { model: GpuModel::new(model), count }
    };
    let choices = models.split(',').map(choice).collect();
    if how == "ordered" { GpuChoices::Ordered(choices) } else { GpuChoices::AnyOf(choices) }
}

fn job(words: &[&str], revision: u64) -> Status {
    let cores: u64 = option(words, "cpu=").map_or(1, |text| text.parse().expect("cores"));
    let sets = words[2..].iter().filter(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    let pod_sets = sets.enumerate().map(|(i, word)| {
        let (pods, gpus) = word.split_once('x').expect("PODSxGPUS");
        let gpu_milli = gpus.parse::<u64>().expect("GPUs") * 1000;
        let request = Resources { gpu_milli, cpu_milli: cores * 1000, memory_bytes: cores << 30 };
        PodSet { name: format!("set{i}").into(), count: pods.parse().expect("pods"), request }
    });
    let placement = match option(words, "place=") {
        Some(name) => PlacementChoice::Named(name.into()),
        None => PlacementChoice::Inline(Arc::new(options(words))),
    };
    let toleration = |key: &str| Toleration { key: Some(key.into()), value: None, effect: None };
    let spec = JobSpec {
        pod_sets: pod_sets.collect(),
        completion: Completion { parallelism: 1, completions: Some(1), indexed: false },
        backoff_limit: 6,
        active_deadline: option(words, "active=")
            .map(|text| DurationMs::from_secs(text.parse().expect("seconds"))),
        ttl_after_finished: None,
        grace: DurationMs::from_secs(30),
        suspend: false,
        placement,
        tolerations: option(words, "tol=").into_iter().map(toleration).collect(),
        node_selector: requirements(words, "node:"),
        gpu_model: option(words, "model=").map(GpuModel::new),
        rules: JobRules::default(),
    };
    Status::Job(Box::new(queued(spec, revision)))
}

/// A job of this spec that waits; the lesser the order, the longer.
pub fn queued(spec: JobSpec, order: u64) -> Job {
    Job::new(&Arc::new(spec), TimeMs(NOW.0 - 100_000 + order))
}
