//! The streams of members: from opened, over hello, to live.

use std::collections::{BTreeMap, BTreeSet};

use muster_model::{Epoch, Incarnation, MemberName, TimeMs};

use crate::capacity::CapacityDesk;
use crate::data::DataDesk;
use crate::desired::Told;
use crate::input::SessionId;
use crate::reports::ReportDesk;

/// One stream.
#[derive(Clone, Debug)]
pub struct Session {
    /// Whose.
    pub member: MemberName,
    /// When its certificate was issued.
    pub certificate_from: TimeMs,
    /// How far it is.
    pub stage: Stage,
}

/// How far a stream is.
#[derive(Clone, Debug)]
pub enum Stage {
    /// Nothing was said yet.
    Opened {
        /// Since then.
        at: TimeMs,
    },
    /// The hello was accepted: this incarnation holds the lease.
    Greeted(Box<Greeted>),
}

/// A stream whose hello was accepted.
#[derive(Clone, Debug)]
pub struct Greeted {
    /// Who speaks.
    pub incarnation: Incarnation,
    /// What it reported.
    pub reports: ReportDesk,
    /// What it has.
    pub capacity: CapacityDesk,
    /// What it holds of datasets.
    pub data: DataDesk,
    /// Whether the hello was acknowledged.
    pub progress: Progress,
}

/// Whether the hello was acknowledged.
#[derive(Clone, Debug)]
pub enum Progress {
    /// Not yet: nothing is sent and nothing it said is used, since this leader may have been deposed, or be behind.
    Hello {
        /// The attempts that the member said it knows of.
        known: Vec<Epoch>,
    },
    /// Yes. It has its desired set, and gets changes of it.
    Live(Told),
}

impl Session {
    /// The stream after its hello.
    pub fn greeted(&mut self) -> Option<&mut Greeted> {
        match &mut self.stage {
            Stage::Opened { .. } => None,
            Stage::Greeted(greeted) => Some(greeted),
        }
    }
}

impl Greeted {
    /// What it was told, once its hello was acknowledged.
    pub fn told(&mut self) -> Option<&mut Told> {
        match &mut self.progress {
            Progress::Hello { .. } => None,
            Progress::Live(told) => Some(told),
        }
    }
}

/// All streams.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    all: BTreeMap<SessionId, Session>,
    /// The streams of each member, accepted or not.
    by_member: BTreeMap<MemberName, BTreeSet<SessionId>>,
    /// The accepted stream of each member.
    of_member: BTreeMap<MemberName, SessionId>,
}

impl Sessions {
    /// A stream was opened.
    pub fn open(&mut self, id: SessionId, session: Session) {
        self.by_member.entry(session.member.clone()).or_default().insert(id);
        self.all.insert(id, session);
    }

    /// A stream said hello. Gives the one it replaces.
    pub fn greet(&mut self, id: SessionId, greeted: Greeted) -> Option<SessionId> {
        let session = self.all.get_mut(&id)?;
        session.stage = Stage::Greeted(Box::new(greeted));
        self.of_member.insert(session.member.clone(), id).filter(|old| *old != id)
    }

    /// A stream is gone.
    pub fn remove(&mut self, id: SessionId) {
        let Some(session) = self.all.remove(&id) else { return };
        if let Some(ids) = self.by_member.get_mut(&session.member) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_member.remove(&session.member);
            }
        }
        if self.of_member.get(&session.member) == Some(&id) {
            self.of_member.remove(&session.member);
        }
    }

    /// A stream.
    pub fn get(&self, id: SessionId) -> Option<&Session> {
        self.all.get(&id)
    }

    /// A stream.
    pub fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.all.get_mut(&id)
    }

    /// The accepted stream of a member.
    pub fn of_member(&self, member: &MemberName) -> Option<SessionId> {
        self.of_member.get(member).copied()
    }

    /// All streams of a member, accepted or not.
    pub fn ids_of(&self, member: &MemberName) -> Vec<SessionId> {
        self.by_member.get(member).into_iter().flatten().copied().collect()
    }

    /// Accepted streams.
    pub fn accepted(&self) -> Vec<SessionId> {
        self.of_member.values().copied().collect()
    }

    /// Streams that have said nothing since this time or longer.
    pub fn silent_since(&self, time: TimeMs) -> Vec<SessionId> {
        let silent = |session: &Session| matches!(session.stage, Stage::Opened { at } if at <= time);
        self.all.iter().filter(|(_, session)| silent(session)).map(|(id, _)| *id).collect()
    }
}
