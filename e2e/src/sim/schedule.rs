//! Which faults strike when: made from the seed before the run, so that a failing run can be tried with fewer of them.

pub use super::fault::{FaultKind, Theme};
use super::plan_file::FOLDERS_APART_MS;
use super::random::Random;

/// The safety phase: faults strike in it, and clients work.
pub const SAFETY_MS: u64 = 610_000;
/// Faults begin then, when the federation is founded.
const FIRST_MS: u64 = 6_000;
/// The last one begins so long before the end of the phase.
const LAST_MS: u64 = 3_000;

/// What a run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    /// Everything at random.
    Mixed,
    /// Members freeze for about as long as leases and deadlines last; what waited for them arrives before their timers.
    ThawedAgent,
    /// A leader is cut off together with a member.
    DeposedLeader,
    /// What the hub sends to a member is held on the way.
    BufferedStart,
    /// No leader lasts.
    LeaderChurn,
}

/// One fault of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When it begins.
    pub at: u64,
    /// How long it lasts, if it is of those that last.
    pub lasts: u64,
    /// What it is.
    pub kind: FaultKind,
    /// Chooses among what it may strike.
    pub pick: u64,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Scenario; 5] = [
        Scenario::Mixed,
        Scenario::ThawedAgent,
        Scenario::DeposedLeader,
        Scenario::BufferedStart,
        Scenario::LeaderChurn,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Scenario::Mixed => "mixed",
            Scenario::ThawedAgent => "thawed-agent",
            Scenario::DeposedLeader => "deposed-leader",
            Scenario::BufferedStart => "buffered-start",
            Scenario::LeaderChurn => "leader-churn",
        }
    }

    /// The scenario of this name.
    pub fn named(name: &str) -> Option<Scenario> {
        Scenario::ALL.into_iter().find(|scenario| scenario.name() == name)
    }

    /// Whether most jobs shall be under `Fence`.
    pub fn is_about_fences(self) -> bool {
        matches!(self, Scenario::ThawedAgent | Scenario::DeposedLeader | Scenario::BufferedStart)
    }

    /// What strikes in it, and how often: greatest gap between two faults.
    fn mix(self) -> (&'static [FaultKind], u64) {
        use FaultKind::*;
        match self {
            Scenario::Mixed => (FaultKind::ALL, 3_200),
            Scenario::ThawedAgent => (
                &[
                    AgentPaused,
                    MemberSuspended,
                    SuspendedAndCut,
                    PausedAndCut,
                    PausedAtHeartbeat,
                    PausedAtHeartbeat,
                    CutToDeadline,
                    MemberCut,
                    MemberDeaf,
                    Delay,
                    AgentKilled,
                    ClockAhead,
                    LeaderKilled,
                ],
                12_000,
            ),
            Scenario::DeposedLeader => (
                &[
                    LeaderAndMemberCut,
                    LeaderPausedMemberHeld,
                    LeaderPausedMemberHeld,
                    LeaderPaused,
                    LeaderCut,
                    StreamReset,
                    OneWayCut,
                    Delay,
                ],
                18_000,
            ),
            Scenario::BufferedStart => (
                &[MemberDeaf, MemberDeaf, AgentPaused, Delay, LeaderPaused, StreamReset, MemberCut, OldOrder],
                12_000,
            ),
            Scenario::LeaderChurn => (
                &[
                    LeaderKilled,
                    LeaderKilled,
                    LeaderPaused,
                    LeaderCut,
                    Handover,
                    HeldBack,
                    ReplicaDiesInTurn,
                    AllPower,
                    Loss,
                    MemberCut,
                ],
                4_000,
            ),
        }
    }

    /// The faults of a seed.
    pub fn plan(self, seed: u64) -> Vec<Fault> {
        let mut random = Random::new(seed, 1);
        let (kinds, gap) = self.mix();
        let mut faults = Vec::new();
        let mut folders_from = 0;
        let mut at = FIRST_MS;
        while at < SAFETY_MS - LAST_MS {
            let kind = *random.pick(kinds);
            if (kind.leaves_unknowns() && !random.chance(300)) || (kind.takes_a_folder() && at < folders_from)
            {
                continue;
            }
            if kind.takes_a_folder() {
                folders_from = at + FOLDERS_APART_MS;
            }
            let lasts = lasts(&mut random, kind).min(SAFETY_MS - at);
            faults.push(Fault { at, lasts, kind, pick: random.bits() });
            at += random.between(50, gap);
            // Now and then it is quiet for a while, so that jobs get on.
            if random.chance(30) {
                at += random.between(8_000, 25_000);
            }
        }
        faults
    }
}

/// Mostly short; now and then about as long as leases and fence deadlines last.
fn lasts(random: &mut Random, kind: FaultKind) -> u64 {
    use FaultKind::*;
    let (short, long_permille) = match kind {
        Loss | Delay | Doubling | Flapping | OneWayCut | PairCut | Reordering | Bridge => (4_000, 80),
        StreamsStalled | AnswersLost | DiskSlow | LeaderDeaf | LeaderMute | HubShattered => (5_000, 60),
        MemberCloned | GpuFails | NodeLost | PodUnknown => (40_000, 300),
        PodsSeenLate | SlowStarts | MemberReachesOne => (20_000, 200),
        LeaderAndMemberCut | PausedAndCut | SuspendedAndCut => (20_000, 500),
        CutToDeadline => {
            let fence_after = *random.pick(&[14_000, 30_000, 45_000]);
            return fence_after - 1_000 + random.below(3_000);
        }
        PausedAtHeartbeat | LeaderPausedMemberHeld => return random.between(4_000, 9_800),
        MemberCut | MemberDeaf | MemberMute | AgentPaused | MemberSuspended => (8_000, 250),
        _ => (3_000, 60),
    };
    match random.chance(long_permille) {
        true => random.between(10_000, 60_000),
        false => random.between(20, short),
    }
}
