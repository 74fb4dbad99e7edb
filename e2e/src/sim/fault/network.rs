//! Faults of the network: links cut in one or both directions, for whom, and what the weather does to the rest.

use super::Undo;
use super::target::Target;
use crate::sim::event::Event;
use crate::sim::event::{ALL_HOSTS, HOSTS, REPLICAS, member_host};
use crate::sim::network::Weather;
use crate::sim::schedule::{Fault, FaultKind};
use crate::sim::world::World;

impl World {
    pub(super) fn hurt_network(&mut self, fault: &Fault, mut target: Target) -> Option<Undo> {
        use FaultKind::*;
        let host = member_host(target.member);
        match fault.kind {
            Loss | Delay | Doubling | Reordering | StreamsStalled | AnswersLost => {
                Some(self.bring_weather(fault.kind, &mut target))
            }
            StreamReset => self.reset_streams(target.member).then_some(Undo::Nothing),
            LeaderPausedMemberHeld => {
                self.hold_member_at_paused_leader(target.leader?, target.member, fault.pick)
            }
            CutToDeadline => {
                let links = around(&[host]);
                self.cut_links(&links);
                self.network.set_weather(target.number, Weather { late_ms: 1_200, ..Weather::default() });
                Some(Undo::JoinThenClear(links))
            }
            Flapping => {
                let (a, b) = (target.random.index(HOSTS), target.random.index(HOSTS));
                self.flap_links(both(a, b))
            }
            MemberFlapping => self.flap_links(around(&[host])),
            kind => {
                let links = links_cut_by(kind, &mut target)?;
                self.cut_links(&links);
                Some(Undo::Join(links))
            }
        }
    }

    pub(super) fn cut_links(&mut self, links: &[(usize, usize)]) {
        links.iter().for_each(|(from, to)| self.network.cut(*from, *to));
    }

    pub(super) fn join_links(&mut self, links: &[(usize, usize)]) {
        links.iter().for_each(|(from, to)| self.network.join(*from, *to));
    }

    fn flap_links(&mut self, links: Vec<(usize, usize)>) -> Option<Undo> {
        self.cut_links(&links);
        Some(Undo::Flap(links, 7))
    }

    pub(super) fn flap(&mut self, number: usize, links: Vec<(usize, usize)>, left: u32) {
        match left % 2 {
            1 => self.join_links(&links),
            _ => self.cut_links(&links),
        }
        if left > 1 {
            self.active.insert(number, Undo::Flap(links, left - 1));
            let wait = self.random.between(30, 900);
            self.queue.push(self.now + wait, Event::Mend { number });
        }
    }

    fn bring_weather(&mut self, kind: FaultKind, target: &mut Target) -> Undo {
        let random = &mut target.random;
        let weather = match kind {
            FaultKind::Loss => Weather { lost_permille: random.between(50, 600), ..Weather::default() },
            FaultKind::Delay => Weather { late_ms: random.between(20, 2_000), ..Weather::default() },
            FaultKind::Reordering => {
                Weather { overtaken_permille: random.between(100, 700), ..Weather::default() }
            }
            FaultKind::StreamsStalled => {
                Weather { streams_late_ms: random.between(500, 8_000), ..Weather::default() }
            }
            FaultKind::AnswersLost => {
                Weather { answers_lost_permille: random.between(300, 1_000), ..Weather::default() }
            }
            _ => Weather { doubled_permille: random.between(100, 900), ..Weather::default() },
        };
        self.network.set_weather(target.number, weather);
        Undo::Clear
    }
}

/// Links that a partition cuts, direction by direction.
fn links_cut_by(kind: FaultKind, target: &mut Target) -> Option<Vec<(usize, usize)>> {
    use FaultKind::*;
    let host = member_host(target.member);
    let hub = 0..REPLICAS;
    Some(match kind {
        ReplicaCut => around(&[target.replica]),
        LeaderCut => around(&[target.leader?]),
        LeaderAndMemberCut => around(&[target.leader?, host]),
        PairCut => both(target.random.index(HOSTS), target.random.index(HOSTS)),
        OneWayCut => vec![(target.random.index(HOSTS), target.random.index(HOSTS))],
        MemberCut => around(&[host]),
        MemberDeaf => hub.map(|replica| (replica, host)).collect(),
        MemberMute => hub.map(|replica| (host, replica)).collect(),
        LeaderDeaf => to_others(target.leader?).map(|(leader, other)| (other, leader)).collect(),
        LeaderMute => to_others(target.leader?).collect(),
        Bridge => {
            let leader = target.leader?;
            both(leader, (leader + 1 + target.random.index(REPLICAS - 1)) % REPLICAS)
        }
        HubShattered => hub.flat_map(to_others).collect(),
        MemberReachesOne => {
            let unreached = hub.filter(|replica| *replica != target.replica);
            unreached.flat_map(|replica| both(replica, host)).collect()
        }
        _ => return None,
    })
}

/// From a replica to each of the others.
fn to_others(replica: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..REPLICAS).filter(move |other| *other != replica).map(move |other| (replica, other))
}

pub(super) fn both(a: usize, b: usize) -> Vec<(usize, usize)> {
    vec![(a, b), (b, a)]
}

/// All links between these hosts and the others.
pub(super) fn around(inside: &[usize]) -> Vec<(usize, usize)> {
    let outside = || (0..ALL_HOSTS).filter(|host| !inside.contains(host));
    inside.iter().flat_map(|host| outside().flat_map(|other| both(*host, other))).collect()
}
