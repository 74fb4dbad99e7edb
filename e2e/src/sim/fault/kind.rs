//! The kinds of faults, by theme.

macro_rules! fault_kinds {
    ($($theme:ident { $($(#[doc = $doc:literal])* $kind:ident = $name:literal,)* })*) => {
        /// What may go wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum FaultKind { $($($(#[doc = $doc])* $kind,)*)* }

        impl FaultKind {
            /// All of them.
            pub const ALL: &[FaultKind] = &[$($(FaultKind::$kind,)*)*];

            /// Its name in plans, traces and reports.
            pub fn name(self) -> &'static str {
                match self { $($(FaultKind::$kind => $name,)*)* }
            }

            /// What it is a fault of.
            pub fn theme(self) -> Theme {
                match self { $($(FaultKind::$kind => Theme::$theme,)*)* }
            }
        }
    };
}

/// What a fault is a fault of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Theme {
    /// Processes of the hub.
    Process,
    /// Disks of replicas.
    Disk,
    /// Links and streams.
    Network,
    /// Clocks.
    Clock,
    /// Members.
    Member,
}

impl FaultKind {
    /// The kind of this name.
    pub fn named(name: &str) -> Option<FaultKind> {
        FaultKind::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

fault_kinds! {
    Process {
        /// A replica's process is killed; its kernel writes what it was given.
        ReplicaKilled = "replica-killed",
        /// The leader's process is killed.
        LeaderKilled = "leader-killed",
        /// A replica dies in the middle of a turn: before its fsync, or between its messages.
        ReplicaDiesInTurn = "replica-dies-in-turn",
        /// A replica's process stands still.
        ReplicaPaused = "replica-paused",
        /// The leader's process stands still.
        LeaderPaused = "leader-paused",
        /// The leader hands over.
        Handover = "handover",
        /// A replica may not lead for a while.
        HeldBack = "held-back",
    }
    Disk {
        /// A replica's machine loses power; what was not synced is gone.
        ReplicaPower = "replica-power",
        /// All replicas lose power at once.
        AllPower = "all-power",
        /// A replica's disk is full.
        DiskFull = "disk-full",
        /// A replica's fsync fails.
        FsyncFails = "fsync-fails",
    }
    Network {
        /// A replica is cut off from everybody.
        ReplicaCut = "replica-cut",
        /// The leader is cut off from everybody.
        LeaderCut = "leader-cut",
        /// The leader and a member are cut off together.
        LeaderAndMemberCut = "leader-and-member-cut",
        /// Two hosts cannot reach each other.
        PairCut = "pair-cut",
        /// One direction between two hosts is cut.
        OneWayCut = "one-way-cut",
        /// A link goes on and off.
        Flapping = "flapping",
        /// A member is cut off from all replicas.
        MemberCut = "member-cut",
        /// A member hears nothing, but is heard.
        MemberDeaf = "member-deaf",
        /// A member is not heard, but hears.
        MemberMute = "member-mute",
        /// Messages are lost.
        Loss = "loss",
        /// Messages are late.
        Delay = "delay",
        /// Messages arrive twice.
        Doubling = "doubling",
        /// A member's streams are reset.
        StreamReset = "stream-reset",
        /// The leader stands still with a member's stream, and the member reaches no other replica.
        LeaderPausedMemberHeld = "leader-paused-member-held",
        /// A member comes back just when its fence deadlines pass, over slow links.
        CutToDeadline = "cut-to-deadline",
    }
    Clock {
        /// A member's time of day jumps ahead.
        ClockAhead = "clock-ahead",
        /// A member's time of day jumps back.
        ClockBack = "clock-back",
        /// A replica's time of day jumps.
        HubClockJumps = "hub-clock-jumps",
    }
    Member {
        /// An agent is killed.
        AgentKilled = "agent-killed",
        /// An agent dies between two of its actions, or while it writes its journal.
        AgentDiesInStep = "agent-dies-in-step",
        /// An agent stands still; its pods run.
        AgentPaused = "agent-paused",
        /// A member's machine is suspended with all pods.
        MemberSuspended = "member-suspended",
        /// A member is cut off and suspended at once.
        SuspendedAndCut = "suspended-and-cut",
        /// An agent stands still while its member is cut off.
        PausedAndCut = "paused-and-cut",
        /// An agent stands still right after it sent a heartbeat, and its member is cut off once the answer waits for it.
        PausedAtHeartbeat = "paused-at-heartbeat",
        /// A member's machine restarts: other boot id, no pods.
        MemberRestarted = "member-restarted",
        /// A member's machine is gone until an operator declares lost what ran on it.
        MemberLost = "member-lost",
        /// A member is told again to run something that is over.
        OldOrder = "old-order",
    }
}
