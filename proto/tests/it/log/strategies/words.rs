//! Words that all groups use.

use std::sync::Arc;

use muster_model::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::Of;

pub fn text() -> Of<Arc<str>> {
    prop_oneof![4 => "\\PC{0,6}", 1 => "[a-z\u{1}\u{2}\"]{60,70}"].prop_map(Arc::from).boxed()
}

pub fn texts() -> Of<Vec<Arc<str>>> {
    vec(text(), 0..3).boxed()
}

pub fn time() -> Of<TimeMs> {
    any::<u64>().prop_map(TimeMs).boxed()
}

pub fn duration() -> Of<DurationMs> {
    any::<u64>().prop_map(DurationMs).boxed()
}

pub fn revision() -> Of<Revision> {
    any::<u64>().prop_map(Revision).boxed()
}

pub fn epoch() -> Of<Epoch> {
    any::<u64>().prop_map(Epoch).boxed()
}

pub fn uid() -> Of<Uid> {
    any::<u128>().prop_map(Uid).boxed()
}

pub fn hash() -> Of<DocumentHash> {
    any::<u128>().prop_map(DocumentHash).boxed()
}

pub fn money() -> Of<MicroUsd> {
    any::<i64>().prop_map(MicroUsd).boxed()
}

pub fn member() -> Of<MemberName> {
    text().prop_map(MemberName).boxed()
}

pub fn principal() -> Of<Principal> {
    text().prop_map(Principal).boxed()
}

pub fn gpu_model() -> Of<GpuModel> {
    text().prop_map(GpuModel).boxed()
}

pub fn key() -> Of<Key> {
    each!(Key { kind: text().prop_map(Kind), namespace: text(), name: text() })
}

pub fn resources() -> Of<Resources> {
    each!(Resources { gpu_milli: any::<u64>(), cpu_milli: any::<u64>(), memory_bytes: any::<u64>() })
}

pub fn location() -> Of<Location> {
    each!(Location { provider: text(), region: text(), zone: option::of(text()) })
}

pub fn selector() -> Of<Selector> {
    let requirement = prop_oneof![
        (text(), texts()).prop_map(|(key, values)| Requirement::In(key, values)),
        (text(), texts()).prop_map(|(key, values)| Requirement::NotIn(key, values)),
        text().prop_map(Requirement::Exists),
        text().prop_map(Requirement::Absent),
    ];
    vec(requirement, 0..4).prop_map(Selector).boxed()
}

pub fn taint_effect() -> Of<TaintEffect> {
    one_of![TaintEffect::NoSchedule, TaintEffect::PreferNoSchedule, TaintEffect::NoExecute]
}

pub fn document() -> Of<Document> {
    each!(Document { metadata: text(), body: text() })
}

pub fn severity() -> Of<EventSeverity> {
    one_of![EventSeverity::Normal, EventSeverity::Warning]
}
