//! The probes of a game day that a leader can ask itself, and the last word of the one that its edge asks.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_core::State;
use muster_model::{
    AttemptReport, AttemptState, Epoch, Event, Key, Kind, MemberName, PartitionPolicy, ProbeKind,
    ProbeSample, ReportedState, kinds,
};

/// What the probes have seen since the run began, or since this leader looks at it.
#[derive(Clone, Debug)]
pub struct Probes {
    /// Jobs that there must be: counted when it began, and by each event since.
    jobs_told: u64,
    /// Jobs that there are.
    jobs_stored: u64,
    /// Attempts that ran beside another one of the same job.
    doubles: BTreeMap<(Key, Epoch), MemberName>,
    /// What came of the last submission.
    submitted: Option<Result<(), Arc<str>>>,
}

impl Probes {
    /// Nothing seen yet.
    pub fn new(state: &State) -> Probes {
        let jobs = jobs(state);
        Probes { jobs_told: jobs, jobs_stored: jobs, doubles: BTreeMap::new(), submitted: None }
    }

    /// Takes in what happened.
    pub fn update(&mut self, event: &Event) {
        let Event::Changed { key, old, new, .. } = event else { return };
        if key.is(kinds::JOB) {
            self.jobs_told += u64::from(old.is_none());
            self.jobs_told -= u64::from(new.is_none()).min(self.jobs_told);
        }
    }

    /// The state after the events given so far.
    pub fn stored(&mut self, state: &State) {
        self.jobs_stored = jobs(state);
    }

    /// What a member says of its attempts. One that runs while another of the same job does is a double run (S4), unless
    /// the job allows it.
    pub fn reported(&mut self, member: &MemberName, reports: &[AttemptReport], state: &State) {
        for report in reports {
            let key = (report.job.clone(), report.epoch);
            match report.state {
                ReportedState::Running { .. } if runs_elsewhere(report, state) => {
                    self.doubles.insert(key, member.clone());
                }
                ReportedState::Running { .. } => {}
                ReportedState::Ended { .. } => drop(self.doubles.remove(&key)),
            }
        }
    }

    /// A job was submitted, or could not be.
    pub fn submitted(&mut self, outcome: Result<(), Arc<str>>) {
        self.submitted = Some(outcome);
    }

    /// What a probe says now; nothing if it has nothing to say.
    pub fn sample(&mut self, kind: ProbeKind) -> Option<ProbeSample> {
        let outcome = match kind {
            ProbeKind::NoLostJob if self.jobs_told == self.jobs_stored => Ok(()),
            ProbeKind::NoLostJob => {
                Err(format!("{} jobs were told of, {} are stored", self.jobs_told, self.jobs_stored).into())
            }
            ProbeKind::NoDoubleRun => match self.doubles.first_key_value() {
                None => Ok(()),
                Some(((job, epoch), member)) => {
                    Err(format!("{job} runs on {member} under epoch {} and elsewhere", epoch.0).into())
                }
            },
            // Said once: the next sample needs another submission.
            ProbeKind::SubmitWorks => self.submitted.take()?,
        };
        let holds = outcome.is_ok();
        Some(ProbeSample { kind, holds, seen: outcome.err().unwrap_or_else(|| "".into()) })
    }
}

fn jobs(state: &State) -> u64 {
    state.count(&Kind::new(kinds::JOB))
}

fn runs_elsewhere(report: &AttemptReport, state: &State) -> bool {
    let Some(object) = state.get(&report.job).filter(|object| object.meta.uid == report.uid) else {
        return false;
    };
    let attempt = object.job().and_then(|job| job.attempt.as_deref());
    attempt.is_some_and(|attempt| {
        attempt.epoch != report.epoch
            && matches!(attempt.state, AttemptState::Running { .. })
            && attempt.assignment.policy.partition != PartitionPolicy::DuplicateOk
    })
}
