//! Rules of the packer over random Nodes and pods: never over capacity, and costs that are kept are costs that are true.

use std::collections::BTreeSet;

use muster_model::*;
use muster_placement::{Ask, Mix, Packer, Share};
use proptest::prelude::*;

fn resources() -> impl Strategy<Value = Resources> {
    let gpus = prop::sample::select(vec![0, 160, 470, 500, 810, 1000, 1500, 2000, 4000, 8000]);
    (gpus, 1..40_u64, 1..64_u64).prop_map(|(gpu_milli, cores, gib)| Resources {
        gpu_milli,
        cpu_milli: cores * 1000,
        memory_bytes: gib << 30,
    })
}

fn ask() -> impl Strategy<Value = Ask> {
    let models = prop::sample::select(vec![vec![], vec!["A"], vec!["B"], vec!["A", "B"]]);
    (resources(), models).prop_map(|(request, models)| Ask {
        request,
        models: models.into_iter().map(GpuModel::new).collect(),
    })
}

fn nodes() -> impl Strategy<Value = Nodes> {
    let model = prop::sample::select(vec![None, Some("A"), Some("B")]);
    let shape = (model, 1..9_u64, 16..128_u64, 1..5_u32).prop_map(|(model, gpus, cores, nodes)| NodeShape {
        gpu_model: model.map(GpuModel::new),
        allocatable: Resources {
            gpu_milli: if model.is_some() { gpus * 1000 } else { 0 },
            cpu_milli: cores * 1000,
            memory_bytes: (cores * 4) << 30,
        },
        nodes,
    });
    prop::collection::vec(shape, 1..4).prop_map(Nodes::new)
}

fn mix(asks: &[Ask]) -> Mix {
    let mut mix = Mix::default();
    asks.iter().for_each(|ask| mix.add(ask, 1));
    mix
}

fn one(ask: &Ask) -> Share<'_> {
    Share { request: &ask.request, pods: 1 }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// The Nodes themselves refuse what is beyond them: every place that is found is free, and no GPU is shared beyond
    /// its thousandths.
    #[test]
    fn never_over_capacity(nodes in nodes(), asks in prop::collection::vec(ask(), 1..60)) {
        let mut packer = Packer::new(&nodes, &mix(&asks).typical());
        let mut left = nodes;
        for ask in &asks {
            let Some(node) = packer.best(ask, &BTreeSet::new()) else { continue };
            prop_assert!(packer.take(node, one(ask)));
            prop_assert!(left.take(node, &ask.request));
            let model = left.shape(node).and_then(|shape| shape.gpu_model.as_ref());
            prop_assert!(ask.takes(model));
            let room = packer.room(node).expect("a Node");
            prop_assert_eq!(room.free(), left.free[node as usize].free);
            let gpus = left.shape(node).map_or(0, |shape| shape.allocatable.gpu_milli / 1000);
            prop_assert!(room.whole + room.parts.len() as u64 <= gpus);
            prop_assert!(room.parts.iter().all(|part| (1..1000).contains(part)));
        }
    }

    /// A packer that saw every change chooses as one does that sees the Nodes for the first time.
    #[test]
    fn costs_that_are_kept_are_true(nodes in nodes(), asks in prop::collection::vec(ask(), 1..40)) {
        let typical = mix(&asks).typical();
        let mut kept = Packer::new(&nodes, &typical);
        let mut taken: Vec<(u32, Resources)> = Vec::new();
        for ask in &asks {
            let mut fresh = Packer::new(&nodes, &typical);
            for (node, request) in &taken {
                let pod = Share { request, pods: 1 };
                prop_assert!(fresh.take(*node, pod));
            }
            let best = kept.best(ask, &BTreeSet::new());
            prop_assert_eq!(best, fresh.best(ask, &BTreeSet::new()));
            if let Some(node) = best {
                prop_assert!(kept.take(node, one(ask)));
                taken.push((node, ask.request));
            }
        }
    }

    /// It finds a place wherever there is one, but on closed Nodes.
    #[test]
    fn a_place_is_found_exactly_where_there_is_one(nodes in nodes(), asks in prop::collection::vec(ask(), 1..40), closed in 0..4_u32) {
        let mut packer = Packer::new(&nodes, &mix(&asks).typical());
        let closed: BTreeSet<u32> = (0..closed).collect();
        for ask in &asks {
            let fits = |node: &u32| {
                let model = nodes.shape(*node).and_then(|shape| shape.gpu_model.as_ref());
                ask.takes(model) && packer.room(*node).is_some_and(|room| room.holds(&ask.request))
            };
            let open = (0..packer.len() as u32).filter(|node| !closed.contains(node)).find(fits);
            let best = packer.best(ask, &closed);
            prop_assert_eq!(best.is_some(), open.is_some());
            prop_assert!(best.is_none_or(|node| !closed.contains(&node)));
            if let Some(node) = best {
                prop_assert!(packer.take(node, one(ask)));
            }
        }
    }

    /// What went away is as if it had never been.
    #[test]
    fn a_mix_forgets(asks in prop::collection::vec(ask(), 0..20), gone in prop::collection::vec(ask(), 0..20)) {
        let plain = mix(&asks);
        let mut changed = mix(&gone);
        asks.iter().for_each(|ask| changed.add(ask, 1));
        gone.iter().for_each(|ask| changed.remove(ask, 1));
        prop_assert_eq!(format!("{plain:?}"), format!("{changed:?}"));
    }
}
