//! What clients submit, and what founds a federation.

use std::sync::Arc;

use muster_model::{
    Backend, ClusterSpec, Command, Completion, Document, DocumentHash, DurationMs, JobSpec, Join,
    JoinTokenSpec, Key, Location, MemberName, NamespaceSpec, PartitionPolicy, PlacementChoice, PlacementSpec,
    PodSet, PriceClass, Principal, PutMode, Resources, Selector, Spec, TimeMs, Uid, kinds,
};

use super::client::put;
use super::clock::EPOCH_MS;
use super::event::MEMBERS;
use super::member::MEMBER_NAMES;
use super::random::Random;
use super::schedule::Scenario;

/// A job as people hand them in: small, of all policies, with deadlines above and below the member's lease.
pub fn job_spec(random: &mut Random, scenario: Scenario) -> JobSpec {
    let keep_percent = if scenario.is_about_fences() { 15 } else { 40 };
    let partition_policy = match random.below(100) {
        roll if roll < keep_percent => PartitionPolicy::Keep,
        roll if roll < 90 => PartitionPolicy::Fence,
        _ => PartitionPolicy::DuplicateOk,
    };
    let fence_after = Some(DurationMs(*random.pick(&[14_000, 14_000, 30_000, 45_000])));
    let options = PlacementSpec { partition_policy, fence_after, ..PlacementSpec::default() };
    let pods = random.between(1, 2) as u32;
    let gpu_milli = 1_000 * random.between(1, 2);
    let request = Resources { gpu_milli, cpu_milli: 1_000, memory_bytes: 1 << 30 };
    let completions = random.chance(900).then(|| pods + random.below(2) as u32);
    let indexed = completions.is_some() && random.chance(400);
    JobSpec {
        pod_sets: vec![PodSet { name: "main".into(), count: pods, request }],
        completion: Completion { parallelism: pods, completions, indexed },
        backoff_limit: 6,
        active_deadline: None,
        ttl_after_finished: Some(DurationMs(1_000 * random.between(120, 200))),
        grace: DurationMs(2_000),
        suspend: random.chance(50),
        placement: PlacementChoice::Inline(Arc::new(options)),
        tolerations: Vec::new(),
        node_selector: Selector::default(),
        gpu_model: None,
        rules: muster_model::JobRules::default(),
    }
}

/// A namespace and two members that have joined.
pub fn founding() -> Vec<Command> {
    let namespace = Key::namespace("default");
    let mut commands = vec![put(
        &namespace,
        PutMode::Create { uid: Uid(1) },
        Spec::Namespace(NamespaceSpec::default()),
        None,
    )];
    for member in 0..MEMBERS {
        commands.extend(joining(member, member as u128 + 100, TimeMs(EPOCH_MS)));
    }
    commands
}

/// A token, and its use.
pub fn joining(member: usize, token: u128, certificate_from: TimeMs) -> [Command; 2] {
    let name = MemberName::new(MEMBER_NAMES[member]);
    let token = DocumentHash(token);
    let expires = TimeMs(certificate_from.0 + 24 * 3_600_000);
    let key = Key::new(kinds::JOIN_TOKEN, "", &format!("{:032x}", token.0));
    let token_spec = JoinTokenSpec { hash: token, member: name.clone(), expires };
    let spec = ClusterSpec {
        location: Location::region("onprem", "berlin"),
        price_class: PriceClass::OnPrem,
        backend: Backend::Simulated,
        labels: std::collections::BTreeMap::new(),
        taints: Vec::new(),
        unschedulable: false,
        transfer_bytes_per_second: None,
    };
    let uid = Uid(token.0 + 100);
    let mode = PutMode::Create { uid: Uid(token.0 + 1_000_000) };
    let join = Join { token, member: name, certificate_from, uid, spec, document: Document::default() };
    [put(&key, mode, Spec::JoinToken(token_spec), None), Command::Join(join)]
}

/// An operator's word that nothing runs on a member, or nothing of what it left behind.
pub fn declare_lost(member: usize) -> Command {
    let principal = Principal::new("petra");
    Command::DeclareLost { member: MemberName::new(MEMBER_NAMES[member]), principal }
}

/// Somebody whose business it is keeps new jobs from a member, or lets go of it.
pub fn drain(member: usize, on: bool) -> Command {
    let (member, owner) = (MemberName::new(MEMBER_NAMES[member]), "provider".into());
    Command::Drain(muster_model::Drain { member, owner, on, principal: Principal::new("petra") })
}

/// All certificates of a member are refused.
pub fn revoke(member: usize) -> Command {
    Command::Revoke { member: MemberName::new(MEMBER_NAMES[member]), principal: Principal::new("petra") }
}

/// A write that shows whether the hub writes.
pub fn probe(number: u64) -> Command {
    let key = Key::new("configmaps", "default", &format!("probe-{number}"));
    put(&key, PutMode::Create { uid: Uid(400 + u128::from(number)) }, Spec::Opaque, None)
}
