//! Every message comes back as it was; what is not sound is refused by field.

use std::sync::Arc;

use bytes::Bytes;
use muster_model::*;
use proptest::prelude::*;
use prost::Message;

use super::*;

fn capacity() -> CapacityChange {
    CapacityChange {
        member: MemberName::new("onprem-a"),
        incarnation: Incarnation { folder: 7, boot: u128::MAX },
        shapes: vec![NodeShape {
            gpu_model: Some(GpuModel::new("NVIDIA-H100")),
            allocatable: Resources { gpu_milli: 8000, cpu_milli: 96_000, memory_bytes: 1 << 40 },
            nodes: 2,
        }],
        agent_version: "0.1.0".into(),
        gpu_source: GpuSource::Simulated,
        can_fence: true,
    }
}

fn report(epoch: u64, state: ReportedState) -> AttemptReport {
    AttemptReport {
        job: Key::job("default", "train"),
        uid: Uid(epoch.into()),
        epoch: Epoch(epoch),
        state,
        pods: PodCounts { active: 1, ready: 2, succeeded: 3, failed: 4, terminating: 5 },
        completed_indexes: "0-3,7".into(),
        index_failures: IndexFailures { failed: "4".into(), counts: "1:5".into() },
    }
}

fn desired(epoch: u64, body_bytes: usize) -> DesiredAttempt {
    DesiredAttempt {
        job: Key::job("default", "train"),
        uid: Uid(1 << 100),
        epoch: Epoch(epoch),
        spec: Arc::new(JobSpec {
            pod_sets: vec![PodSet { name: "main".into(), count: 2, request: Resources::default() }],
            completion: Completion { parallelism: 2, completions: Some(5), indexed: true },
            backoff_limit: 6,
            active_deadline: Some(DurationMs(1)),
            ttl_after_finished: Some(DurationMs(0)),
            grace: DurationMs(30_000),
            suspend: false,
            placement: PlacementChoice::Default,
            tolerations: vec![],
            node_selector: Selector::default(),
            gpu_model: None,
            rules: JobRules { gang_restart: true, containers: vec!["main".into()], ..JobRules::default() },
        }),
        body: "x".repeat(body_bytes).into(),
        claims: vec![PodClaim { pod_set: 0, node: 1, pods: 2 }],
        gpu_model: Some(GpuModel::new("NVIDIA-H100")),
        requests: vec![Resources { gpu_milli: 1000, cpu_milli: 1, memory_bytes: 2 }],
        policy: GrantPolicy { partition: PartitionPolicy::Fence, fence_after: DurationMs(600_000) },
        stop: Some(StopReason::Evicted),
        grace: DurationMs(5),
        before: PodCounts { failed: 2, ..PodCounts::default() },
        completed_indexes: "1".into(),
        index_failures: IndexFailures { failed: "2".into(), counts: "".into() },
        active_deadline_left: Some(DurationMs(99)),
        data: vec![data_use()],
    }
}

fn data_use() -> DataUse {
    DataUse { dataset: "corpus".into(), version: "2026-05".into(), digest: ContentDigest([3; 32]) }
}

fn data_report(fetched: u64) -> DataReport {
    let copy = DataCopy {
        version: "2026-05".into(),
        digest: ContentDigest([3; 32]),
        size_bytes: 9,
        missing_bytes: 4,
        folder: "/state/datasets".into(),
    };
    let progress = TransferProgress { missing_bytes: 4, fetched_bytes: fetched, refetched_chunks: 1 };
    let transfer = Key::transfer("default", "corpus", "onprem-b");
    DataReport {
        copies: vec![HeldCopy { dataset: Key::new(kinds::DATASET, "default", "corpus"), copy }],
        transfers: vec![TransferNews { transfer, uid: Uid(4), progress, failed: Some("disk full".into()) }],
    }
}

fn transfer_order(limit: Option<u64>) -> TransferOrder {
    TransferOrder {
        transfer: Key::transfer("default", "corpus", "onprem-b"),
        uid: Uid(4),
        data: data_use(),
        source: MemberName::new("onprem-a"),
        folder: "/state/datasets".into(),
        bytes_per_second: limit,
    }
}

fn outcomes() -> impl Strategy<Value = ReportedState> {
    let failed = FinishReason { reason: "BackoffLimitExceeded".into(), message: "7 failures".into() };
    let outcome = prop::sample::select(vec![
        AttemptOutcome::Succeeded,
        AttemptOutcome::Failed(failed),
        AttemptOutcome::Stopped,
        AttemptOutcome::Fenced,
        AttemptOutcome::Lost,
    ]);
    prop_oneof![
        any::<u64>().prop_map(|since| ReportedState::Running { since: TimeMs(since) }),
        (outcome, any::<Option<i32>>(), any::<u64>()).prop_map(|(outcome, exit_code, at)| {
            ReportedState::Ended { outcome, exit_code, at: TimeMs(at) }
        }),
    ]
}

fn end() -> ContainerEnd {
    ContainerEnd {
        started: Some(TimeMs(4)),
        finished: TimeMs(6),
        exit_code: Some(137),
        signal: Some(9),
        reason: "Error".into(),
        message: String::new(),
    }
}

fn container(name: &str, state: ContainerState) -> ContainerMirror {
    ContainerMirror { name: name.into(), init: name == "fetch", state, last: Some(end()), restarts: 2 }
}

fn documents() -> AttemptDocuments {
    let data = std::collections::BTreeMap::from([("key".to_owned(), bytes::Bytes::from_static(b"value"))]);
    let document = |kind| PodDocument { kind, name: "app".into(), data: data.clone() };
    let documents = vec![document(DocumentKind::ConfigMap), document(DocumentKind::Secret)];
    AttemptDocuments { epoch: Epoch(7), documents }
}

fn mirror() -> PodMirror {
    PodMirror {
        job: Key::job("default", "train"),
        job_uid: Uid(3),
        epoch: Epoch(9),
        name: "train-0-x7k2p".into(),
        index: Some(0),
        phase: PodPhase::Failed,
        container: "main".into(),
        node: "onprem-a-0".into(),
        started: Some(TimeMs(1)),
        finished: Some(TimeMs(2)),
        exit_code: Some(137),
        signal: Some(9),
        reason: "Error".into(),
        message: String::new(),
        gpus: vec!["0".into()],
        restarts: 1,
        containers: vec![
            container("fetch", ContainerState::Terminated(end())),
            container("main", ContainerState::Running { since: TimeMs(5) }),
            container(
                "log",
                ContainerState::Waiting { reason: "CrashLoopBackOff".into(), message: "x".into() },
            ),
        ],
    }
}

fn member_messages() -> impl Strategy<Value = MemberMessage> {
    let reports = prop::collection::vec((any::<u64>(), outcomes()), 0..4)
        .prop_map(|all| all.into_iter().map(|(epoch, state)| report(epoch, state)).collect::<Vec<_>>())
        .boxed();
    let note = JobNote {
        job: Key::job("default", "train"),
        uid: Uid(1),
        epoch: Epoch(2),
        reason: "ImageIgnored".into(),
        message: "the image is not pulled here".into(),
        severity: EventSeverity::Warning,
    };
    let error = StreamError { code: StreamErrorCode::NotFound, message: "no such pod".into() };
    let chunk = StreamChunk { request: 4, data: Bytes::from_static(b"log"), eof: true, error: Some(error) };
    let removed = PodRef { job_uid: Uid(3), name: "train-1-abcde".into() };
    prop_oneof![
        reports.clone().prop_map(|attempts| {
            let capacity = capacity();
            let incarnation = capacity.incarnation.clone();
            MemberMessage::ToHub(ToHub::Hello(Hello { incarnation, capacity, attempts }))
        }),
        (any::<u64>(), reports)
            .prop_map(|(seq, reports)| MemberMessage::ToHub(ToHub::Reports { seq, reports })),
        any::<u64>().prop_map(|seq| MemberMessage::ToHub(ToHub::Heartbeat { seq })),
        Just(MemberMessage::ToHub(ToHub::Capacity(capacity()))),
        any::<u64>().prop_map(|fetched| MemberMessage::ToHub(ToHub::Data(data_report(fetched)))),
        Just(MemberMessage::Pods(PodUpdates { resync: true, pods: vec![mirror()], removed: vec![removed] })),
        Just(MemberMessage::Chunk(chunk)),
        Just(MemberMessage::Note(note)),
    ]
}

fn fault_order(left: u64, wanted: bool) -> FaultOrder {
    FaultOrder {
        id: "f-1".into(),
        uid: Uid(9),
        kind: FaultKind::Partition,
        wanted,
        left: DurationMs(left),
        expires: TimeMs(7),
    }
}

fn hub_messages() -> impl Strategy<Value = HubMessage> {
    let log = LogRequest {
        request: 1,
        namespace: "default".into(),
        pod: "train-0-x7k2p".into(),
        container: Some("main".into()),
        follow: true,
        tail_lines: Some(0),
        since: Some(TimeMs(5)),
        timestamps: true,
        limit_bytes: Some(10),
    };
    let epochs = prop::collection::vec(any::<u64>().prop_map(Epoch), 0..4).boxed();
    let attempts =
        prop::collection::vec(any::<u64>().prop_map(|epoch| Arc::new(desired(epoch, 10))), 0..3).boxed();
    prop_oneof![
        (any::<u64>(), epochs.clone())
            .prop_map(|(seq, epochs)| HubMessage::ToMember(ToMember::Ack { seq, epochs })),
        attempts
            .clone()
            .prop_map(|attempts| HubMessage::ToMember(ToMember::Full { revision: Revision(8), attempts })),
        (attempts, epochs).prop_map(|(changed, gone)| HubMessage::ToMember(ToMember::Delta {
            revision: Revision(9),
            changed,
            gone
        })),
        any::<u64>().prop_map(|seq| HubMessage::ToMember(ToMember::ReportsTaken { seq })),
        Just(HubMessage::ToMember(ToMember::Close { reason: "not the leader".into() })),
        any::<Option<u64>>().prop_map(|limit| {
            HubMessage::ToMember(ToMember::Transfers { orders: vec![transfer_order(limit)] })
        }),
        Just(HubMessage::Log(log)),
        any::<u64>().prop_map(|request| HubMessage::Cancel { request }),
        any::<u128>().prop_map(|uid| HubMessage::ForgetJobs { uids: vec![Uid(uid)] }),
        Just(HubMessage::RenewNow),
        Just(HubMessage::LeaderHint { addresses: vec!["127.0.0.1:7451".into()] }),
        (any::<u64>(), any::<bool>())
            .prop_map(|(left, wanted)| HubMessage::Faults(vec![fault_order(left, wanted)])),
        Just(HubMessage::Documents(vec![documents()])),
        (any::<u64>(), any::<u128>(), any::<bool>())
            .prop_map(|(request, ticket, tty)| HubMessage::Exec(exec_request(request, ticket, tty))),
    ]
}

fn exec_request(request: u64, ticket: u128, tty: bool) -> ExecRequest {
    ExecRequest {
        request,
        ticket,
        namespace: "default".into(),
        pod: "train-0-x7k2p".into(),
        container: tty.then(|| "main".into()),
        command: vec!["sh".into(), String::new()],
        streams: ExecStreams { stdin: true, stdout: true, stderr: !tty, tty },
    }
}

fn exec_frames() -> impl Strategy<Value = ExecFrame> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..9).prop_map(Bytes::from);
    let failed = StreamError { code: StreamErrorCode::TooMany, message: "64 run".into() };
    prop_oneof![
        (any::<u64>(), any::<u128>()).prop_map(|(request, ticket)| ExecFrame::Ticket { request, ticket }),
        bytes().prop_map(ExecFrame::Stdin),
        Just(ExecFrame::StdinClosed),
        (any::<u16>(), any::<u16>())
            .prop_map(|(columns, rows)| ExecFrame::Resize(TerminalSize { columns, rows })),
        bytes().prop_map(ExecFrame::Stdout),
        bytes().prop_map(ExecFrame::Stderr),
        any::<i32>().prop_map(ExecFrame::Exited),
        Just(ExecFrame::Failed(failed)),
    ]
}

proptest! {
    #[test]
    fn an_exec_frame_comes_back(frame in exec_frames()) {
        let bytes = pb::ExecFrame::from(frame.clone()).encode_to_vec();
        let decoded = pb::ExecFrame::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(ExecFrame::try_from(decoded), Ok(frame));
    }

    #[test]
    fn a_member_message_comes_back(message in member_messages()) {
        let bytes = pb::MemberMessage::from(&message).encode_to_vec();
        let decoded = pb::MemberMessage::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(MemberMessage::try_from(decoded), Ok(message));
    }

    #[test]
    fn a_hub_message_comes_back(message in hub_messages()) {
        let bytes = pb::HubMessage::from(&message).encode_to_vec();
        let decoded = pb::HubMessage::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(HubMessage::try_from(decoded), Ok(message));
    }

    #[test]
    fn bytes_of_any_kind_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(decoded) = pb::MemberMessage::decode(bytes.as_slice()) {
            let _ = MemberMessage::try_from(decoded);
        }
        if let Ok(decoded) = pb::HubMessage::decode(bytes.as_slice()) {
            let _ = HubMessage::try_from(decoded);
        }
    }
}

#[test]
fn what_is_said_of_faults_comes_back() {
    let report = |news| FaultsRequest { report: Some(FaultReport { id: "f".into(), uid: Uid(4), news }) };
    for request in [
        FaultsRequest { report: None },
        report(FaultNews::Injecting),
        report(FaultNews::Reverted { at: TimeMs(0) }),
    ] {
        assert_eq!(FaultsRequest::try_from(pb::FaultsRequest::from(request.clone())), Ok(request));
    }
    for refused in [None, Some("it is over".to_owned())] {
        let response = FaultsResponse { orders: vec![fault_order(1, true)], refused };
        assert_eq!(FaultsResponse::try_from(pb::FaultsResponse::from(response.clone())), Ok(response));
    }
    let strange = pb::FaultOrder { kind: 77, ..(&fault_order(1, true)).into() };
    let orders = pb::FaultOrders { orders: vec![strange] };
    let message = pb::HubMessage { body: Some(pb::hub_message::Body::Faults(orders)) };
    let error = HubMessage::try_from(message).unwrap_err().to_string();
    assert_eq!(error, "faults.orders[0].kind: is not a value of this version");
}

#[test]
fn no_value_of_a_document_shows_in_messages_for_people() {
    let shown = format!("{:?}", HubMessage::Documents(vec![documents()]));
    assert!(shown.contains("Secret") && shown.contains("key") && !shown.contains("value"), "{shown}");
}

#[test]
fn an_error_names_the_field() {
    let good = pb::DesiredAttempt::from(&desired(1, 1));
    type Change = fn(&mut pb::DesiredAttempt);
    let table: [(Change, &str); 6] = [
        (|a| a.job = None, "full.attempts[1].job: is missing"),
        (|a| a.uid = Bytes::from_static(b"short"), "full.attempts[1].uid: must be 16 bytes"),
        (|a| a.stop = 77, "full.attempts[1].stop: is not a value of this version"),
        (|a| a.claims[0].pod_set = 70_000, "full.attempts[1].claims[0].pod_set: must be below 65536"),
        (
            |a| a.policy.as_mut().unwrap().partition = 0,
            "full.attempts[1].policy.partition: is not a value of this version",
        ),
        (|a| a.spec.as_mut().unwrap().completion = None, "full.attempts[1].spec.completion: is missing"),
    ];
    for (change, want) in table {
        let mut bad = good.clone();
        change(&mut bad);
        let full = pb::Full { revision: 1, attempts: vec![good.clone(), bad] };
        let message = pb::HubMessage { body: Some(pb::hub_message::Body::Full(full)) };
        assert_eq!(HubMessage::try_from(message).unwrap_err().to_string(), want);
    }
}

#[test]
fn a_large_message_travels_in_frames_within_the_limit() {
    let attempts = (0..5).map(|epoch| Arc::new(desired(epoch, 700_000))).collect();
    let message = HubMessage::ToMember(ToMember::Full { revision: Revision(1), attempts });
    let frames = frames(pb::HubMessage::from(&message));
    assert_eq!(frames.len(), 4);
    assert!(frames.iter().all(|frame| frame.encoded_len() <= MAX_FRAME_BYTES));
    let mut assembler = Assembler::default();
    let mut whole: Vec<pb::HubMessage> =
        frames.into_iter().filter_map(|frame| assembler.push(frame).unwrap()).collect();
    assert_eq!(HubMessage::try_from(whole.pop().unwrap()), Ok(message));
    assert!(whole.is_empty());
}

#[test]
fn fragments_that_make_no_message_end_the_stream() {
    let part = |bytes: usize, last| {
        pb::MemberMessage::of_fragment(pb::Fragment { part: Bytes::from(vec![0xff; bytes]), last })
    };
    let heartbeat = || pb::MemberMessage::from(&MemberMessage::ToHub(ToHub::Heartbeat { seq: 1 }));
    let mut assembler = Assembler::default();
    assert_eq!(assembler.push(part(10, false)), Ok(None));
    assert_eq!(assembler.push(heartbeat()), Err(FragmentError::Interrupted));
    assert!(matches!(assembler.push(part(10, true)), Err(FragmentError::Malformed(_))));
    for _ in 0..64 {
        assert_eq!(assembler.push(part(1 << 20, false)), Ok(None));
    }
    assert_eq!(assembler.push(part(1, true)), Err(FragmentError::TooLarge));
}
