//! Which promise is checked where: each number of the list of guarantees, once, and what it still lacks.
//!
//! A promise is either checked or its row says what is missing. A test keeps the rows complete, the places they name real,
//! and the table in `docs/reference/guarantees.md` equal to them.

/// A promise and its checks.
#[derive(Clone, Copy, Debug)]
pub struct Promise {
    /// `S1` to `S24`, `L1` to `L9`.
    pub number: &'static str,
    /// What is promised.
    pub title: &'static str,
    /// Where it is checked.
    pub checks: &'static [Check],
    /// What of it is not checked, and why.
    pub missing: Option<&'static str>,
}

/// One place.
#[derive(Clone, Copy, Debug)]
pub enum Check {
    /// In each run of the simulator, by this file of `e2e/src/invariants`.
    Simulator(&'static str),
    /// At states of the simulator and of random histories, by `federation/core/src/invariants.rs`.
    State,
    /// By a test: file and function.
    Test(&'static str, &'static str),
}

use Check::{Simulator, State, Test};

const FENCING: &str = "e2e/tests/it/fencing.rs";
const CHAOS_FAULTS: &str = "e2e/tests/it/chaos/faults.rs";
const GAME_DAYS: &str = "e2e/tests/it/chaos/game_days.rs";

/// All promises, in order.
pub const PROMISES: &[Promise] = &[
    Promise {
        number: "S1",
        title: "An acknowledged write is never lost",
        checks: &[
            Simulator("s01_acknowledged_writes"),
            Test("e2e/tests/it/random_kills.rs", "random_kills_lose_and_repeat_nothing"),
        ],
        missing: None,
    },
    Promise {
        number: "S2",
        title: "No phantom, no double submit",
        checks: &[
            Simulator("s02_no_double_submit"),
            Test("e2e/tests/it/random_kills.rs", "random_kills_lose_and_repeat_nothing"),
        ],
        missing: None,
    },
    Promise {
        number: "S3",
        title: "Linearizable per object; watches ordered, gap-free, resumable",
        checks: &[Simulator("s03_linearizable"), Simulator("s03_linearizable/watches")],
        missing: None,
    },
    Promise {
        number: "S4",
        title: "At most one live attempt of a job anywhere",
        checks: &[
            Simulator("s04_one_live_attempt"),
            Test(FENCING, "a_silent_member_ends_its_fenced_attempts_before_the_hub_starts_the_next"),
        ],
        missing: None,
    },
    Promise {
        number: "S5",
        title: "An attempt is stopped or fenced before the next may start",
        checks: &[
            Simulator("s05_fence_before_grant"),
            Test(FENCING, "a_silent_member_ends_its_fenced_attempts_before_the_hub_starts_the_next"),
        ],
        missing: Some("the alarm of a drift beyond the bound: not built"),
    },
    Promise {
        number: "S6",
        title: "Whatever an old attempt still does is refused",
        checks: &[Simulator("s06_stale_epochs"), State],
        missing: Some("the checkpoint gate: `muster checkpoint` is not built"),
    },
    Promise {
        number: "S7",
        title: "GPUs are conserved, none counted twice",
        checks: &[Simulator("s07_gpus_conserved"), State],
        missing: None,
    },
    Promise {
        number: "S8",
        title: "A gang is placed whole or not at all; reservations end in time",
        checks: &[Simulator("s08_whole_gangs"), State],
        missing: None,
    },
    Promise {
        number: "S9",
        title: "Quota, borrowing and lending limits and budgets hold",
        checks: &[],
        missing: Some("quotas, cohorts and budgets are not built"),
    },
    Promise {
        number: "S10",
        title: "Voluntary moves respect PodDisruptionBudgets",
        checks: &[],
        missing: Some("members of Kubernetes, which have such budgets, are not built"),
    },
    Promise {
        number: "S11",
        title: "A drain ends only when nothing owned remains; drains compose",
        checks: &[Test(CHAOS_FAULTS, "drains_compose_and_move_what_runs"), State],
        missing: None,
    },
    Promise {
        number: "S12",
        title: "Only legal transitions; terminal is final; retries are bounded",
        checks: &[Simulator("s12_legal_transitions"), State],
        missing: None,
    },
    Promise {
        number: "S13",
        title: "Same log, same bytes",
        checks: &[Simulator("s13_same_bytes"), State],
        missing: Some("replicas of neighbouring versions: there is one version"),
    },
    Promise {
        number: "S14",
        title: "Raft's own properties",
        checks: &[Simulator("s14_raft")],
        missing: None,
    },
    Promise {
        number: "S15",
        title: "Snapshot and tail are the whole log; restore is the state at that index",
        checks: &[Simulator("s15_snapshots")],
        missing: Some("restore from a backup: not built"),
    },
    Promise {
        number: "S16",
        title: "A corrupt or torn log is found and refused; a failed fsync is fatal",
        checks: &[Test(
            "e2e/tests/it/disk/damaged.rs",
            "a_damaged_log_is_refused_by_name_and_the_others_serve",
        )],
        missing: None,
    },
    Promise {
        number: "S17",
        title: "The audit log is gap-free and chained, one record per request",
        checks: &[Simulator("s17_audit_chain")],
        missing: None,
    },
    Promise {
        number: "S18",
        title: "No unauthenticated, unauthorised or cross-tenant access",
        checks: &[Test("e2e/tests/it/security/matrix.rs", "each_certificate_on_each_port")],
        missing: Some("the matrix of principals, verbs and resources: there is no RBAC"),
    },
    Promise {
        number: "S19",
        title: "A member reports only on itself and acts only on what it was given",
        checks: &[
            Simulator("s19_own_word"),
            Test(
                "federation/leader/tests/leader/sessions.rs",
                "only_members_that_joined_with_a_certificate_that_was_not_revoked",
            ),
        ],
        missing: None,
    },
    Promise {
        number: "S20",
        title: "A revoked identity cannot write after 5 s; rotation drops no lease",
        checks: &[
            Test("e2e/tests/it/security/sessions.rs", "a_revoked_member_is_out"),
            Test("federation/leader/tests/leader/sessions.rs", "a_revocation_ends_open_streams_at_once"),
        ],
        missing: Some("the simulator revokes certificates, and checks no writes by them"),
    },
    Promise {
        number: "S21",
        title: "Sovereignty and data rules hold for every placement",
        checks: &[Simulator("s21_allowed_places"), State],
        missing: Some("in the simulator there are no datasets"),
    },
    Promise {
        number: "S22",
        title: "Stale, negative or impossible prices are refused",
        checks: &[Test("e2e/tests/it/price_feed.rs", "a_feed_changes_plans_and_bad_lines_do_not")],
        missing: Some("a cap on the spend rate: not built; the simulator has no price feed"),
    },
    Promise {
        number: "S23",
        title: "Every injected fault has an owner and an end, and is taken back in time",
        checks: &[Test("e2e/tests/it/chaos/many.rs", "all_faults_end_in_time_whoever_is_killed"), State],
        missing: Some("the simulator injects no faults of the product's own chaos"),
    },
    Promise {
        number: "S24",
        title: "Chaos never breaks its own limits",
        checks: &[Test(GAME_DAYS, "an_aborted_game_day_heals_and_two_never_overlap"), State],
        missing: Some("the simulator runs no game days"),
    },
    Promise {
        number: "L1",
        title: "A leader within 2 s, service within 5 s of healing",
        checks: &[Simulator("l01_service_returns")],
        missing: None,
    },
    Promise {
        number: "L2",
        title: "Hub gone for 24 h: nothing under Keep is killed or doubled",
        checks: &[
            Simulator("l02_hub_gone"),
            Test(FENCING, "a_silent_hub_fences_what_asked_for_it_and_nothing_else"),
        ],
        missing: None,
    },
    Promise {
        number: "L3",
        title: "Every feasible job starts and ends; an infeasible one says why",
        checks: &[Simulator("l03_jobs_end")],
        missing: Some("that an infeasible job says why: by tests of placement only"),
    },
    Promise {
        number: "L4",
        title: "Fenced jobs of a lost member are granted again within fenceAfter + 10 s",
        checks: &[
            Simulator("l04_granted_again"),
            Test(FENCING, "a_silent_member_ends_its_fenced_attempts_before_the_hub_starts_the_next"),
        ],
        missing: None,
    },
    Promise {
        number: "L5",
        title: "On a spot notice the checkpoint and the replacement fit the notice",
        checks: &[],
        missing: Some("spot notices are not built"),
    },
    Promise {
        number: "L6",
        title: "A drain ends or names its blocker",
        checks: &[Test(CHAOS_FAULTS, "drains_compose_and_move_what_runs")],
        missing: Some("naming the blocker: not built"),
    },
    Promise {
        number: "L7",
        title: "A lagging replica catches up; elections come to rest",
        checks: &[Simulator("l07_replicas_level")],
        missing: None,
    },
    Promise {
        number: "L8",
        title: "An aborted game day heals completely and has a report",
        checks: &[Test(GAME_DAYS, "an_aborted_game_day_heals_and_two_never_overlap")],
        missing: None,
    },
    Promise {
        number: "L9",
        title: "10,000 agents at once do not delay the leases of healthy ones",
        checks: &[],
        missing: Some("no test connects so many agents yet"),
    },
];

/// The rows as the table in `docs/reference/guarantees.md`.
pub fn table() -> String {
    let rows = PROMISES.iter().map(|promise| {
        let checks: Vec<String> = promise.checks.iter().map(Check::text).collect();
        let checks = if checks.is_empty() { "nowhere".to_owned() } else { checks.join("; ") };
        let missing = promise.missing.unwrap_or_default();
        format!("| {} | {} | {checks} | {missing} |\n", promise.number, promise.title)
    });
    let head = "| # | Promise | Checked by | Not checked |\n|---|---|---|---|\n";
    head.to_owned() + &rows.collect::<String>()
}

impl Check {
    fn text(&self) -> String {
        match self {
            Simulator(file) => format!("simulator: `{file}`"),
            State => "states: `core::invariants`".to_owned(),
            Test(_, function) => format!("test `{function}`"),
        }
    }
}
