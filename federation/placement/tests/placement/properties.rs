//! Rules that hold over random fleets and queues.

use muster_model::*;
use muster_placement::{Verdict, explain, fit, plan};
use proptest::prelude::*;

use crate::fixture::{NOW, World, world};

/// A fleet, prices and a queue as lines of the fixture.
fn fleet() -> impl Strategy<Value = String> {
    let node = (1..4u32, prop::sample::select(vec!["8xA100", "4xA100", "8xL4", "2xL4", "cpu16", "8xA100@5"]));
    let nodes = prop::collection::vec(node.prop_map(|(count, what)| format!("{count}*{what}")), 1..4);
    let place =
        prop::sample::select(vec!["onPrem onprem/berlin", "onDemand aws/us-east-1", "spot aws/us-east-1"]);
    let mark = prop::sample::select(vec!["", "", "", "cordoned", "lapsed", "taint:k=v:NoSchedule"]);
    let member =
        (place, nodes, mark).prop_map(|(place, nodes, mark)| format!("{place} {} {mark}", nodes.join(" ")));
    let job = (
        1..4u32,
        0..9u32,
        1..3u32,
        prop::sample::select(vec!["", "spot=never", "max=9", "model=L4", "tol=k"]),
    )
        .prop_map(|(pods, gpus, cpu, option)| format!("{pods}x{gpus} cpu={cpu} {option}"));
    (prop::collection::vec(member, 0..5), prop::collection::vec(job, 0..12), 1..9u32, 1..9u32).prop_map(
        |(members, jobs, dear, cheap)| {
            let prices = format!(
                "price aws/us-east-1 A100 {dear}.5 spot={cheap}.25 int=100\nprice aws/us-east-1 L4 0.{cheap} spot=0.{dear}"
            );
            let members = members.iter().enumerate().map(|(i, member)| format!("member m{i} {member}"));
            let jobs = jobs.iter().enumerate().map(|(i, job)| format!("job j{i} {job}"));
            std::iter::once(prices).chain(members).chain(jobs).collect::<Vec<_>>().join("\n")
        },
    )
}

fn names(world: &World) -> Vec<String> {
    let jobs = world.objects.keys().filter(|key| key.is(kinds::JOB));
    jobs.map(|key| key.name.to_string()).collect()
}

/// The least total over members that have room for a job of one pod set, by trying every member.
fn cheapest_by_force(world: &World, name: &str) -> Option<MicroUsd> {
    let report = world.explain(name);
    let spec = &world.job(name).spec;
    let quotes = report.clusters.iter().filter_map(|cluster| {
        let nodes = &world.cluster(cluster.name.as_str()).status.nodes;
        let quote = cluster.quote.as_ref()?;
        let takes =
            cluster.rejected.as_ref().is_none_or(|r| matches!(r, muster_placement::Rejected::Busy { .. }));
        (takes && room_by_force(nodes, spec, cluster.gpu_model.as_ref())).then_some(quote.total)
    });
    quotes.min()
}

/// Pods that fit, counted Node by Node.
fn room_by_force(nodes: &Nodes, spec: &JobSpec, model: Option<&GpuModel>) -> bool {
    let set = &spec.pod_sets[0];
    let mut pods = 0;
    for node in &nodes.free {
        let shape = &nodes.shapes[usize::from(node.shape)];
        if set.request.gpu_milli > 0 && shape.gpu_model.as_ref() != model {
            continue;
        }
        let mut free = node.free;
        while let Some(left) = free.minus(&set.request) {
            free = left;
            pods += 1;
        }
    }
    pods >= set.count
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// `World::apply` fails on any claim beyond what is free.
    #[test]
    fn whole_gangs_within_capacity_and_nothing_left_to_do(text in fleet()) {
        let mut world = world(&text);
        let out = plan(&world.view, NOW);
        for (key, _, assignment) in &out.plan.assignments {
            let spec = &world.job(&key.name).spec;
            for (i, set) in spec.pod_sets.iter().enumerate() {
                let pods: u32 = assignment.claims.iter().filter(|c| usize::from(c.pod_set) == i).map(|c| c.pods).sum();
                prop_assert_eq!(pods, set.count);
            }
        }
        world.apply(&out.plan);
        let unnoted = plan(&world.view, NOW);
        prop_assert_eq!(unnoted.plan.assignments, vec![]);
        world.view.note(&out);
        prop_assert!(!world.view.wants_plan(NOW));
    }

    #[test]
    fn the_same_view_gives_the_same_plan_however_it_came_about(text in fleet()) {
        let one = world(&text);
        let lines: Vec<&str> = text.lines().collect();
        let mut two = World::default();
        lines.iter().for_each(|line| two.line(line));
        lines.iter().filter(|line| line.starts_with("member")).for_each(|line| two.line(line));
        prop_assert_eq!(plan(&one.view, NOW).plan.assignments, plan(&two.view, NOW).plan.assignments);
    }

    #[test]
    fn the_cheapest_place_with_room_is_chosen(text in fleet()) {
        let world = world(&text);
        for name in names(&world) {
            let report = world.explain(&name);
            let chosen = report.clusters.iter().find(|c| Some(&c.name) == report.chosen.as_ref());
            let total = chosen.and_then(|c| c.quote.as_ref()).map(|quote| quote.total);
            prop_assert_eq!(total, cheapest_by_force(&world, &name));
        }
    }

    /// What `muster plan` says of the first job in the queue is what the cycle does with it.
    #[test]
    fn explanation_and_plan_agree(text in fleet()) {
        let world = world(&text);
        let out = plan(&world.view, NOW);
        if let Some(first) = names(&world).iter().find(|n| world.view.position(&Key::job("default", n)) == Some(1)) {
            let key = Key::job("default", first);
            let report = explain(&world.view, &key, &world.job(first).spec, NOW);
            let placed = out.plan.assignments.iter().find(|(k, ..)| *k == key).map(|(_, _, a)| a.member.clone());
            prop_assert_eq!(&report.chosen, &placed);
            prop_assert_eq!(report.verdict == Verdict::Now, placed.is_some());
        }
    }

    #[test]
    fn a_fit_on_free_nodes_is_a_fit_on_empty_ones(text in fleet()) {
        let world = world(&text);
        for name in names(&world) {
            let spec = &world.job(&name).spec;
            for cluster in world.objects.values().filter_map(|object| object.cluster()) {
                let nodes = &cluster.status.nodes;
                let requests: Vec<_> = spec.pod_sets.iter().map(|set| set.request).collect();
                let model = nodes.shapes[0].gpu_model.as_ref();
                let free = fit(nodes, spec, model, &requests);
                let empty = fit(&Nodes::new(nodes.shapes.clone()), spec, model, &requests);
                prop_assert!(free.is_none() || empty.is_some());
            }
        }
    }
}
