//! Plans of faults as files: what a failing run was shrunk to, kept for the next try.
//!
//! A file names the version that wrote it: with other kinds or another order of chance the same numbers are another history.

use serde::{Deserialize, Serialize};

use super::run::RunSpec;
use super::schedule::{Fault, FaultKind, SAFETY_MS, Scenario};
use super::trace::Show;

/// Of the format and of the simulator: raised when plans of before mean something else.
pub const PLAN_VERSION: u32 = 2;
/// Faults in one plan.
const MOST_FAULTS: usize = 5_000;
/// How long one lasts.
const LONGEST_MS: u64 = 120_000;
/// Between two faults that take a replica's folder: that of the first is whole again by then, if the others run.
pub(super) const FOLDERS_APART_MS: u64 = 10_000;

/// Why a plan is refused.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// It is no plan.
    #[error("it is not a plan: {0}; write one with `--save FILE`")]
    Unreadable(#[from] serde_json::Error),
    /// Another version wrote it.
    #[error(
        "version: it is of version {found}, this simulator plays {PLAN_VERSION}; use the commit that wrote it"
    )]
    OtherVersion {
        /// What it says.
        found: u32,
    },
    /// There is no such scenario.
    #[error("scenario: there is none of the name {0:?}; see --help")]
    UnknownScenario(String),
    /// There is no such fault.
    #[error("faults[{position}].kind: there is none of the name {name:?}; `--report` lists them")]
    UnknownFault {
        /// Where.
        position: usize,
        /// What it says.
        name: String,
    },
    /// A number is out of its range.
    #[error("faults[{position}].{field}: {found} is out of range: {range}")]
    OutOfRange {
        /// Where.
        position: usize,
        /// Which number.
        field: &'static str,
        /// What it says.
        found: u64,
        /// What it may be.
        range: &'static str,
    },
    /// Too much.
    #[error("faults: {0} are too many, at most {MOST_FAULTS}")]
    TooMany(usize),
    /// The hub could lose what it acknowledged.
    #[error(
        "faults[{position}].kind: {name} takes a replica's folder within 10 s after another one: with two folders gone there \
         is no quorum; leave one out, or move it"
    )]
    BreaksQuorum {
        /// Where.
        position: usize,
        /// What.
        name: &'static str,
    },
}

/// A plan as it lies in a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanFile {
    version: u32,
    seed: u64,
    scenario: String,
    faults: Vec<PlannedFault>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlannedFault {
    at_ms: u64,
    lasts_ms: u64,
    kind: String,
    pick: u64,
}

impl PlanFile {
    /// The plan of a run.
    pub fn new(seed: u64, scenario: Scenario, faults: &[Fault]) -> PlanFile {
        let planned = |fault: &Fault| PlannedFault {
            at_ms: fault.at,
            lasts_ms: fault.lasts,
            kind: fault.kind.name().to_owned(),
            pick: fault.pick,
        };
        PlanFile {
            version: PLAN_VERSION,
            seed,
            scenario: scenario.name().to_owned(),
            faults: faults.iter().map(planned).collect(),
        }
    }

    /// As text.
    ///
    /// # Errors
    /// None that is known.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }
}

/// The run that a file asks for.
///
/// # Errors
/// It is no plan, of another version, or would break a limit.
pub fn read_plan(text: &str) -> Result<RunSpec, PlanError> {
    let file: PlanFile = serde_json::from_str(text)?;
    if file.version != PLAN_VERSION {
        return Err(PlanError::OtherVersion { found: file.version });
    }
    let scenario = Scenario::named(&file.scenario).ok_or(PlanError::UnknownScenario(file.scenario))?;
    if file.faults.len() > MOST_FAULTS {
        return Err(PlanError::TooMany(file.faults.len()));
    }
    let faults = file.faults.into_iter().enumerate().map(|(position, fault)| read_fault(position, fault));
    let mut faults = faults.collect::<Result<Vec<Fault>, PlanError>>()?;
    check_quorum(&faults)?;
    faults.sort_by_key(|fault| fault.at);
    Ok(RunSpec { seed: file.seed, scenario, plan: Some(faults), show: Show::Nothing })
}

fn read_fault(position: usize, fault: PlannedFault) -> Result<Fault, PlanError> {
    let Some(kind) = FaultKind::named(&fault.kind) else {
        return Err(PlanError::UnknownFault { position, name: fault.kind });
    };
    let within = |field, found, most, range| match found <= most {
        true => Ok(found),
        false => Err(PlanError::OutOfRange { position, field, found, range }),
    };
    let at = within("at_ms", fault.at_ms, SAFETY_MS, "the safety phase ends at 610000")?;
    let lasts = within("lasts_ms", fault.lasts_ms, LONGEST_MS, "0 to 120000")?;
    Ok(Fault { at, lasts, kind, pick: fault.pick })
}

fn check_quorum(faults: &[Fault]) -> Result<(), PlanError> {
    let mut last: Option<u64> = None;
    let mut in_order: Vec<(usize, &Fault)> = faults.iter().enumerate().collect();
    in_order.sort_by_key(|(_, fault)| fault.at);
    for (position, fault) in in_order.into_iter().filter(|(_, fault)| fault.kind.takes_a_folder()) {
        if last.is_some_and(|last| fault.at < last + FOLDERS_APART_MS) {
            return Err(PlanError::BreaksQuorum { position, name: fault.kind.name() });
        }
        last = Some(fault.at);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut PlanFile)) -> String {
        let faults = [(6_000, FaultKind::LogDamaged), (20_000, FaultKind::ReplicaWiped)];
        let faults = faults.map(|(at, kind)| Fault { at, lasts: 100, kind, pick: 7 });
        let mut file = PlanFile::new(3, Scenario::Mixed, &faults);
        change(&mut file);
        file.to_json().expect("a plan is text")
    }

    #[test]
    fn a_plan_comes_back_as_it_was() {
        let spec = read_plan(&with(|_| {})).expect("it is good");
        assert_eq!((spec.seed, spec.scenario), (3, Scenario::Mixed));
        assert_eq!(spec.plan.map(|faults| faults.len()), Some(2));
    }

    #[test]
    fn the_plan_of_a_seed_is_within_the_limits() {
        for seed in 1..50 {
            let faults = Scenario::Mixed.plan(seed);
            let text = PlanFile::new(seed, Scenario::Mixed, &faults).to_json().expect("a plan is text");
            assert_eq!(read_plan(&text).expect("it is good").plan, Some(faults));
        }
    }

    #[test]
    fn what_is_wrong_is_refused_with_the_reason() {
        let refused = |text: &str| read_plan(text).expect_err("it is wrong").to_string();
        let cases = [
            ("{".to_owned(), "it is not a plan: "),
            (with(|file| file.version = 1), "version: it is of version 1"),
            (
                with(|file| file.scenario = "quiet".to_owned()),
                "scenario: there is none of the name \"quiet\"",
            ),
            (with(|file| file.faults[1].kind = "flood".to_owned()), "faults[1].kind: there is none"),
            (with(|file| file.faults[0].at_ms = 700_000), "faults[0].at_ms: 700000 is out of range"),
            (with(|file| file.faults[0].lasts_ms = 120_001), "faults[0].lasts_ms: 120001 is out of range"),
            (
                with(|file| file.faults[1].at_ms = 7_000),
                "faults[1].kind: replica-wiped takes a replica's folder",
            ),
        ];
        for (text, reason) in cases {
            assert!(refused(&text).starts_with(reason), "{} is not {reason}", refused(&text));
        }
    }
}
