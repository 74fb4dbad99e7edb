//! Clients that watch: they read the changes of one kind piece by piece from whichever replica they are connected to, are
//! cut off in the middle, and go on elsewhere from the revision they have. The rings are the product's own.

use muster_model::{Kind, Revision, kinds};

use super::event::{Event, REPLICAS};
use super::random::Random;
use super::scenario::Sign;
use super::world::World;
use crate::invariants::{Cursor, Delivered};

/// Watchers, by what they watch.
pub const WATCHED: [&str; 3] = [kinds::JOB, kinds::RUN, "configmaps"];
/// Changes in one piece at most.
const PIECE_MAX: u64 = 60;

/// One watcher.
pub struct Watcher {
    kind: Kind,
    random: Random,
    replica: usize,
    /// How far it is; none: it has to list first.
    at: Option<(Revision, Cursor)>,
}

impl Watcher {
    pub(super) fn new(number: usize, random: Random) -> Watcher {
        Watcher { kind: Kind::new(WATCHED[number]), random, replica: 0, at: None }
    }
}

impl World {
    /// A watcher reads its next piece.
    pub(super) fn watcher_turn(&mut self, watcher: usize) {
        let here = &mut self.watchers[watcher];
        let limit = here.random.between(1, PIECE_MAX) as usize;
        let is_cut = here.random.chance(150);
        let replica = here.replica;
        let unreachable =
            self.replicas[replica].process.is_none() || self.hosts[replica].pause.is_some() || is_cut;
        let given = if unreachable { 0 } else { self.read_piece(watcher, limit) };
        let is_whole = given < limit;
        if !is_whole {
            self.sign(|| Sign::Piece { watcher });
        }
        let here = &mut self.watchers[watcher];
        // One that is behind goes on at once; or is cut in the middle, and goes on elsewhere.
        if unreachable || (!is_whole && here.random.chance(300)) {
            here.replica = here.random.index(REPLICAS);
            self.counts.watches_cut += u64::from(here.at.is_some());
        }
        let wait = if is_whole { here.random.between(200, 2_500) } else { here.random.between(1, 20) };
        self.queue.push(self.now + wait, Event::Watch { watcher });
    }

    /// Takes what its replica has for it; how many changes that was.
    fn read_piece(&mut self, watcher: usize, limit: usize) -> usize {
        let here = &mut self.watchers[watcher];
        let Some(process) = &self.replicas[here.replica].process else { return 0 };
        let machine = process.driver.machine();
        let Some((revision, cursor)) = &mut here.at else {
            let listed = machine.view().0.revision();
            let watches = &self.checks.histories.watches;
            here.at = Some((listed, watches.begin(&here.kind, listed)));
            return 0;
        };
        let Ok(changes) = machine.watch_cache().since(&here.kind, *revision, limit) else {
            here.at = None;
            return 0;
        };
        for change in &changes {
            let (key, new) = (&change.key, change.new.as_ref());
            let delivered = Delivered { watcher, key, new, revision: change.revision };
            self.checks.histories.watches.delivered(cursor, delivered, &mut self.checks.found);
            *revision = change.revision;
        }
        self.counts.changes_watched += changes.len() as u64;
        changes.len()
    }

    /// Cuts a watcher off; it goes on at another replica.
    pub(super) fn move_watcher(&mut self, watcher: usize, random: &mut Random) {
        let here = &mut self.watchers[watcher];
        here.replica = (here.replica + 1 + random.index(REPLICAS - 1)) % REPLICAS;
        self.counts.watches_cut += 1;
    }

    /// How many changes a watcher has not been given yet; none if it has to list first.
    pub(super) fn missing_of_watcher(&self, watcher: usize) -> Option<usize> {
        let (_, cursor) = self.watchers[watcher].at.as_ref()?;
        Some(self.checks.histories.watches.missing(cursor))
    }

    /// At the end each watcher gets all the rest: nothing was left out.
    pub(super) fn finish_watches(&mut self) {
        let Some(leader) = self.leader() else { return };
        for watcher in 0..self.watchers.len() {
            self.watchers[watcher].replica = leader;
            while self.read_piece(watcher, PIECE_MAX as usize) > 0 {}
            let Some((_, cursor)) = &self.watchers[watcher].at else { continue };
            let missing = self.checks.histories.watches.missing(cursor);
            if missing > 0 {
                self.checks.fail("S3", format!("watcher {watcher} was never given {missing} changes"));
            }
        }
    }
}
