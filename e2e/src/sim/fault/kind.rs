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
    /// Agents, and hosts of members.
    Member,
    /// GPUs, Nodes, machines and pods.
    Hardware,
    /// Certificates and folders.
    Identity,
}

impl FaultKind {
    /// Whether it leaves attempts behind of which nobody can tell: under `Keep` they hold their GPUs until somebody declares
    /// them lost.
    pub fn leaves_unknowns(self) -> bool {
        use FaultKind::*;
        matches!(
            self,
            MemberRestarted
                | MemberLost
                | MemberWiped
                | MemberCloned
                | SpotNotice0
                | SpotNotice30
                | SpotNotice120
        )
    }

    /// Whether a replica gets an empty or an older folder in its course.
    pub fn takes_a_folder(self) -> bool {
        use FaultKind::*;
        matches!(self, LogDamaged | SnapshotDamaged | ReplicaWiped | ReplicaOlderFolder)
    }

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
        /// Two replicas are killed at once.
        QuorumKilled = "quorum-killed",
        /// One replica after the other is killed and comes back.
        RollingRestart = "rolling-restart",
        /// A replica's machine is suspended: its clocks go on.
        HubSuspended = "hub-suspended",
        /// A replica dies while it writes a snapshot.
        DiesInSnapshot = "dies-in-snapshot",
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
        /// A replica loses power between a write and its fsync: the write is torn, and gone.
        WriteTorn = "write-torn",
        /// A replica dies between a write and its fsync: the kernel writes it later, and it is there at the next start.
        WriteLate = "write-late",
        /// A replica's disk is slow.
        DiskSlow = "disk-slow",
        /// A bit of a replica's synced log flips: it must refuse to start, until an operator moves its folder away.
        LogDamaged = "log-damaged",
        /// A bit of the snapshot that a replica's log begins with flips.
        SnapshotDamaged = "snapshot-damaged",
        /// An operator moves a replica's folder away, when the others agree.
        ReplicaWiped = "replica-wiped",
        /// An operator brings an older copy of a replica's folder back, when the others agree.
        ReplicaOlderFolder = "replica-older-folder",
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
        /// Some messages are overtaken by later ones.
        Reordering = "reordering",
        /// The other replicas hear the leader, which does not hear them.
        LeaderDeaf = "leader-deaf",
        /// The leader hears the other replicas, which do not hear it.
        LeaderMute = "leader-mute",
        /// The leader and another replica cannot reach each other; both reach the third.
        Bridge = "bridge",
        /// No replica reaches another one.
        HubShattered = "hub-shattered",
        /// A member reaches one replica only.
        MemberReachesOne = "member-reaches-one",
        /// All links of a member go on and off.
        MemberFlapping = "member-flapping",
        /// Streams of members stall; messages between replicas pass.
        StreamsStalled = "streams-stalled",
        /// Answers to clients are lost.
        AnswersLost = "answers-lost",
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
        /// The time of day of all replicas is set, by the same amount.
        HubClocksStep = "hub-clocks-step",
        /// A hypervisor stops a replica's machine, and its clocks with it.
        HubClockStops = "hub-clock-stops",
        /// A host's clocks run at another speed from now on, within the bound.
        DriftChanges = "drift-changes",
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
        /// An agent cannot write its journal.
        JournalFull = "journal-full",
        /// An agent goes down in good order, and comes back.
        AgentShutDown = "agent-shut-down",
    }
    Hardware {
        /// A GPU fails: XID, ECC, or off the bus. What computes on it fails.
        GpuFails = "gpu-fails",
        /// A Node is gone with its pods.
        NodeLost = "node-lost",
        /// A machine is gone 120 s after a notice.
        SpotNotice120 = "spot-notice-120",
        /// A machine is gone 30 s after a notice.
        SpotNotice30 = "spot-notice-30",
        /// A machine is gone with its notice.
        SpotNotice0 = "spot-notice-0",
        /// A pod is killed by its kernel.
        PodKilled = "pod-killed",
        /// A shim is killed, and its pod with it.
        ShimKilled = "shim-killed",
        /// The backend cannot tell whether a pod runs.
        PodUnknown = "pod-unknown",
        /// What happens to pods is seen late.
        PodsSeenLate = "pods-seen-late",
        /// Pods take long to start.
        SlowStarts = "slow-starts",
    }
    Identity {
        /// A member's certificate expires: it has to renew before it may speak.
        CertificateExpired = "certificate-expired",
        /// A member's certificates are revoked; it joins again with a new token.
        CertificateRevoked = "certificate-revoked",
        /// A member's folder is gone; it joins again as another incarnation.
        MemberWiped = "member-wiped",
        /// A second agent starts from a copy of a member's folder, on another machine.
        MemberCloned = "member-cloned",
    }
}
