//! A history being played: which stage it is in, and what it remembers.

use muster_member_machine::{PodId, PodStart};
use muster_model::{Epoch, Key};

use super::sign::Sign;
use super::story::Story;
use crate::sim::event::MEMBERS;
use crate::sim::pod::Nature;
use crate::sim::random::Random;
use crate::sim::world::World;

/// One stage: what has to have happened by when.
pub struct Stage {
    /// Said when it is passed, or was not.
    pub(super) name: &'static str,
    /// From the end of the stage before.
    pub(super) within_ms: u64,
    /// Asked with each sign; acts and says true when the stage is passed.
    pub(super) step: fn(&mut World, &mut Memory, &Sign) -> bool,
}

/// What stages remember.
pub struct Memory {
    pub(super) random: Random,
    pub(super) job: Key,
    pub(super) other: Key,
    pub(super) member: usize,
    pub(super) replica: usize,
    pub(super) pod: Option<PodId>,
    pub(super) epoch: Epoch,
    /// A time that matters, in true milliseconds.
    pub(super) at: u64,
    /// Another.
    pub(super) until: u64,
    /// Times of members.
    pub(super) marks: [u64; MEMBERS],
    /// Pods that matter.
    pub(super) pods: Vec<(usize, PodId)>,
    /// Which of the story's variants the seed chose.
    pub(super) variant: u64,
}

/// The script of one run.
pub struct Script {
    story: Story,
    stage: usize,
    since: u64,
    memory: Option<Memory>,
    signs: Vec<Sign>,
    /// How the story's pods behave, by a part of their names; the first that fits.
    natures: Vec<(&'static str, Nature)>,
    /// How much slower than usual agents tick and dial: for long silences.
    pub(in crate::sim) pace: u64,
}

impl Script {
    /// The story of this seed.
    pub(in crate::sim) fn new(story: Story, seed: u64) -> Script {
        let mut random = Random::new(seed, 40);
        let memory = Memory {
            variant: random.below(4),
            random,
            job: Key::job("default", "story"),
            other: Key::job("default", "other"),
            member: 0,
            replica: 0,
            pod: None,
            epoch: Epoch(0),
            at: 0,
            until: 0,
            marks: [0; MEMBERS],
            pods: Vec::new(),
        };
        Script {
            story,
            stage: 0,
            since: 0,
            memory: Some(memory),
            signs: Vec::new(),
            natures: Vec::new(),
            pace: 1,
        }
    }

    /// Whether all stages were passed.
    pub(in crate::sim) fn is_over(&self) -> bool {
        self.stage >= self.story.stages().len()
    }

    /// How a pod of the story behaves; anything but the first of its attempt, or of another job, as by chance.
    pub(in crate::sim) fn nature(&self, start: &PodStart) -> Option<Nature> {
        let fits = |(part, _): &&(&str, Nature)| start.attempt.job.name.contains(part);
        self.natures.iter().find(fits).map(|(_, nature)| *nature)
    }
}

impl World {
    /// Notes what happened for the story, if one is played.
    pub(in crate::sim) fn sign(&mut self, sign: impl FnOnce() -> Sign) {
        if let Some(script) = &mut self.script {
            script.signs.push(sign());
        }
    }

    /// From now on pods of jobs whose names have this part behave so.
    pub(super) fn pods_behave(&mut self, part: &'static str, nature: Nature) {
        if let Some(script) = &mut self.script {
            script.natures.retain(|(other, _)| *other != part);
            script.natures.push((part, nature));
        }
    }

    /// How many times slower agents tick and dial now.
    pub(in crate::sim) fn pace(&self) -> u64 {
        self.script.as_ref().map_or(1, |script| script.pace)
    }

    /// How many times slower they shall.
    pub(super) fn set_pace(&mut self, pace: u64) {
        if let Some(script) = &mut self.script {
            script.pace = pace;
        }
    }

    /// The story goes on, if one is played.
    pub(in crate::sim) fn play_on(&mut self) {
        let Some(script) = &mut self.script else { return };
        let mut signs = std::mem::take(&mut script.signs);
        signs.push(Sign::Step);
        for sign in signs {
            self.take_sign(&sign);
        }
    }

    fn take_sign(&mut self, sign: &Sign) {
        let Some(script) = &mut self.script else { return };
        let Some(stage) = script.story.stages().get(script.stage) else { return };
        let (story, number, since) = (script.story, script.stage, script.since);
        // Actions may note signs and set how pods behave: the memory alone leaves the script meanwhile.
        let Some(mut memory) = script.memory.take() else { return };
        let is_passed = (stage.step)(self, &mut memory, sign);
        let now = self.now;
        let Some(script) = &mut self.script else { return };
        script.memory = Some(memory);
        if is_passed {
            script.stage = number + 1;
            script.since = now;
            let text = format_args!("{} stage {}: {}", story.name(), number + 1, stage.name);
            self.trace.line(now, "story", "reaches", text);
            if number + 1 == story.stages().len() {
                *self.counts.stories.entry(story.name()).or_default() += 1;
            }
        } else if now > since + stage.within_ms {
            let seen =
                format!("{} did not come about: {}, within {} ms", story.name(), stage.name, stage.within_ms);
            self.checks.fail("scenario", seen);
        }
    }
}
