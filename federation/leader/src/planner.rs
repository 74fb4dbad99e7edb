//! When to plan: as soon as something may find a place, one placement plan under way at a time.

use muster_model::{Answer, Command, Event, TimeMs};
use muster_placement::{PlacementPlan, View, plan};

use crate::config::Config;
use crate::input::Outcome;
use crate::outbox::{Outbox, Purpose};

/// The planner.
#[derive(Clone, Debug)]
pub struct Planner {
    /// What placement knows.
    pub view: View,
    under_way: bool,
    /// Jobs that apply refused are tried again then, even if nothing was gained.
    retry_at: Option<TimeMs>,
}

impl Planner {
    /// A planner with this view.
    pub fn new(view: View) -> Planner {
        Planner { view, under_way: false, retry_at: None }
    }

    /// Takes in what happened.
    pub fn update(&mut self, event: &Event) {
        self.view.update(event);
    }

    /// Proposes a plan if there is something to place.
    pub fn run(&mut self, now: TimeMs, out: &mut Outbox) {
        if self.under_way {
            return;
        }
        if self.retry_at.take_if(|at| *at <= now).is_some() {
            self.view.retry();
        }
        if !self.view.wants_plan(now) {
            return;
        }
        let found: PlacementPlan = plan(&self.view, now);
        self.view.note(&found);
        if !found.plan.assignments.is_empty() {
            self.under_way = true;
            out.propose(Purpose::Plan, Command::CommitPlan(found.plan));
        }
    }

    /// Whether every job that waits was looked at and found no place.
    pub fn is_settled(&self, now: TimeMs) -> bool {
        !self.under_way && !self.view.wants_plan(now)
    }

    /// A plan came to its end. What apply refused waits for a gain, or a while: the view and the state agree by now, so
    /// trying at once would be refused again.
    pub fn done(&mut self, outcome: &Outcome, now: TimeMs, config: &Config) {
        self.under_way = false;
        let Outcome::Answered(Answer::Planned(answer)) = outcome else {
            self.retry_at = Some(now.plus(config.retry));
            return;
        };
        for (job, _) in &answer.rejected {
            self.view.refused(job);
            self.retry_at = Some(now.plus(config.retry));
        }
    }
}
