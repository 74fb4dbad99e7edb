//! What a newer version may write, and what no version writes: refused, with the field's name; a command that may be
//! ignored is a tick.

use expect_test::{Expect, expect};
use muster_model::{Command, Entry, TimeMs};
use muster_proto::log::pb::{self, entry};
use muster_proto::log::{DecodeError, decode_entry, decode_object, encode_entry};
use prost::Message;

use super::samples;

fn envelope(command: Option<entry::Command>) -> pb::Entry {
    pb::Entry { format_version: 1, time_ms: 7, ignorable: false, feature_level: 0, command }
}

fn tick() -> pb::Entry {
    envelope(Some(entry::Command::Tick(pb::Tick {})))
}

/// A field of this number that holds two bytes.
fn unknown_field(number: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::bytes::encode(number, &vec![1, 2], &mut bytes);
    bytes
}

fn ticked() -> Result<Entry, DecodeError> {
    Ok(Entry { time: TimeMs(7), command: Command::Tick })
}

#[test]
fn an_unknown_command_stops_the_replica_unless_flagged() {
    for number in [30, 99, 10_000] {
        let mut form = envelope(None);
        let bytes = |form: &pb::Entry| [form.encode_to_vec(), unknown_field(number)].concat();
        assert_eq!(decode_entry(&bytes(&form)), Err(DecodeError::UnknownCommand { number }));
        form.ignorable = true;
        assert_eq!(decode_entry(&bytes(&form)), ticked());
    }
}

#[test]
fn a_higher_feature_level_stops_the_replica_unless_flagged() {
    let mut form = tick();
    form.feature_level = 1;
    let error = decode_entry(&form.encode_to_vec()).unwrap_err();
    assert_eq!(error, DecodeError::UnknownFeature { found: 1 });
    form.ignorable = true;
    form.command = None;
    assert_eq!(decode_entry(&form.encode_to_vec()), ticked());
}

#[test]
fn an_unknown_format_stops_the_replica_even_if_flagged() {
    for found in [0, 2, u32::MAX] {
        let form = pb::Entry { format_version: found, ignorable: true, ..tick() };
        assert_eq!(decode_entry(&form.encode_to_vec()), Err(DecodeError::UnknownFormat { found }));
    }
}

/// A field that this version would drop: in the envelope, in a command, deep inside one, and a second command.
#[test]
fn an_unknown_field_stops_the_replica_unless_flagged() {
    let envelope_field = |form: &pb::Entry| [form.encode_to_vec(), unknown_field(15)].concat();
    let second_command = |form: &pb::Entry| [form.encode_to_vec(), unknown_field(30)].concat();
    let in_tick = |form: &pb::Entry| {
        let mut bytes = pb::Entry { command: None, ..form.clone() }.encode_to_vec();
        prost::encoding::bytes::encode(16, &unknown_field(9), &mut bytes);
        bytes
    };
    for (bytes, excess_bytes) in
        [(&envelope_field as &dyn Fn(&pb::Entry) -> Vec<u8>, 4), (&second_command, 5), (&in_tick, 4)]
    {
        let mut form = tick();
        assert_eq!(decode_entry(&bytes(&form)), Err(DecodeError::UnknownContent { excess_bytes }));
        form.ignorable = true;
        assert_eq!(decode_entry(&bytes(&form)), ticked());
    }
}

#[test]
fn an_unknown_field_of_an_object_is_refused() {
    let (_, object) = samples::objects().remove(0);
    let bytes = [muster_proto::log::encode_object(&object), unknown_field(99)].concat();
    assert_eq!(decode_object(&bytes), Err(DecodeError::UnknownContent { excess_bytes: 5 }));
}

/// Changes the form of a sample entry and compares what the decoder says of it.
fn check(name: &str, change: impl Fn(&mut entry::Command), expect: &Expect) {
    let (_, entry) = samples::entries().into_iter().find(|(n, _)| n == name).unwrap();
    let mut form = pb::Entry::decode(&*encode_entry(&entry)).unwrap();
    change(form.command.as_mut().unwrap());
    expect.assert_eq(&decode_entry(&form.encode_to_vec()).unwrap_err().to_string());
}

/// Changes the form of a sample object and compares what the decoder says of it.
fn check_object(name: &str, change: impl Fn(&mut pb::Object), expect: &Expect) {
    let (_, object) = samples::objects().into_iter().find(|(n, _)| n == name).unwrap();
    let mut form = pb::Object::decode(&*muster_proto::log::encode_object(&object)).unwrap();
    change(&mut form);
    expect.assert_eq(&decode_object(&form.encode_to_vec()).unwrap_err().to_string());
}

/// The form inside a variant that the sample is known to have.
macro_rules! inside {
    ($pattern:path, $change:expr) => {
        |form| match form {
            $pattern(inner) => $change(inner),
            other => panic!("the sample is {other:?}"),
        }
    };
}

#[test]
fn an_error_names_the_field_of_a_command() {
    use entry::Command::*;
    check("put", inside!(Put, |put: &mut pb::Put| put.key = None), &expect!["put.key: is missing"]);
    check("put", inside!(Put, |put: &mut pb::Put| put.mode = None), &expect!["put.mode: is missing"]);
    check("put", inside!(Put, |put: &mut pb::Put| put.spec = None), &expect!["put.spec: is missing"]);
    check(
        "put",
        inside!(Put, |put: &mut pb::Put| put.spec = Some(pb::Spec { spec: None })),
        &expect!["put.spec.spec: is missing"],
    );
    check("put", inside!(Put, |put: &mut pb::Put| put.document = None), &expect!["put.document: is missing"]);
    check(
        "put",
        inside!(Put, |put: &mut pb::Put| put.typed_version = 65_536),
        &expect!["put.typed_version: is 65536, more than 65535"],
    );
    check(
        "put",
        inside!(Put, |put: &mut pb::Put| put.idempotency = Some(vec![1, 2])),
        &expect!["put.idempotency: has 2 bytes, not 16"],
    );
    check(
        "put",
        inside!(Put, |put: &mut pb::Put| put.owners[0].uid.clear()),
        &expect!["put.owners[0].uid: has 0 bytes, not 16"],
    );
    check(
        "delete",
        inside!(Delete, |delete: &mut pb::Delete| delete.propagation = 0),
        &expect!["delete.propagation: 0 is not a value of this version"],
    );
    check(
        "fence-attempts",
        inside!(FenceAttempts, |fence: &mut pb::FenceAttempts| fence.reason = 99),
        &expect!["fence_attempts.reason: 99 is not a value of this version"],
    );
    check(
        "commit-plan",
        inside!(CommitPlan, |plan: &mut pb::Plan| plan.assignments[0].assignment.as_mut().unwrap().one_off
            [2]
        .kind = 6),
        &expect!["commit_plan.assignments[0].assignment.one_off[2].kind: 6 is not a value of this version"],
    );
    check(
        "note",
        inside!(Note, |note: &mut pb::Note| note.severity = -1),
        &expect!["note.severity: -1 is not a value of this version"],
    );
}

#[test]
fn an_error_names_the_field_of_a_report() {
    use entry::Command::ReportAttempts;
    use pb::attempt_report::State::Ended;
    check(
        "report-attempts",
        inside!(ReportAttempts, |report: &mut pb::ReportAttempts| report.reports[3].state = None),
        &expect!["report_attempts.reports[3].state: is missing"],
    );
    let ended =
        |report: &mut pb::ReportAttempts, i: usize, change: &dyn Fn(&mut pb::attempt_report::Ended)| {
            match &mut report.reports[i].state {
                Some(Ended(ended)) => change(ended),
                other => panic!("the sample is {other:?}"),
            }
        };
    check(
        "report-attempts",
        inside!(ReportAttempts, |report| ended(report, 2, &|ended| ended.failure = None)),
        &expect!["report_attempts.reports[2].ended.failure: is missing"],
    );
    check(
        "report-attempts",
        inside!(ReportAttempts, |report| ended(report, 1, &|ended| ended.failure = Some(Default::default()))),
        &expect!["report_attempts.reports[1].ended.failure: must be absent with this outcome"],
    );
    check(
        "report-attempts",
        inside!(ReportAttempts, |report| ended(report, 1, &|ended| ended.outcome = 0)),
        &expect!["report_attempts.reports[1].ended.outcome: 0 is not a value of this version"],
    );
}

#[test]
fn an_error_names_the_field_of_an_object() {
    use pb::object::Status::{Cluster, Job, Placement};
    check_object("opaque", |object| object.key = None, &expect!["key: is missing"]);
    check_object("opaque", |object| object.meta = None, &expect!["meta: is missing"]);
    check_object("opaque", |object| object.body = None, &expect!["body: is missing"]);
    check_object("opaque", |object| object.status = None, &expect!["status: is missing"]);
    check_object(
        "opaque",
        |object| object.body = Some(pb::Text { text: Some(pb::text::Text::Shared(0)) }),
        &expect!["body: is number 0 of those before it, and there are not so many"],
    );
    let status = |change: fn(&mut pb::object::Status)| {
        move |object: &mut pb::Object| change(object.status.as_mut().unwrap())
    };
    check_object(
        "job-running",
        status(inside!(Job, |job: &mut pb::Job| job.phase = None)),
        &expect!["job.phase: is missing"],
    );
    check_object(
        "job-running",
        status(inside!(Job, |job: &mut pb::Job| job.attempt.as_mut().unwrap().state = None)),
        &expect!["job.attempt.state: is missing"],
    );
    check_object(
        "cluster",
        status(inside!(Cluster, |cluster: &mut pb::Cluster| {
            cluster.status.as_mut().unwrap().nodes.as_mut().unwrap().free[1].shape = 2
        })),
        &expect!["cluster.status.nodes.free[1].shape: is 2, and there are 2 shapes"],
    );
    check_object(
        "cluster",
        status(inside!(Cluster, |cluster: &mut pb::Cluster| cluster.spec.as_mut().unwrap().labels.reverse())),
        &expect![[r#"cluster.spec.labels[1]: "disk" must not stand after "tier""#]],
    );
    check_object(
        "placement",
        status(inside!(Placement, |placement: &mut pb::PlacementSpec| {
            placement.cluster_selector.as_mut().unwrap().requirements[2].values.push("x".into())
        })),
        &expect!["placement.cluster_selector.requirements[2].values: must be empty with this operator"],
    );
    check_object(
        "placement",
        status(inside!(Placement, |placement: &mut pb::PlacementSpec| {
            placement.cluster_selector.as_mut().unwrap().requirements[2].operator = 5
        })),
        &expect!["placement.cluster_selector.requirements[2].operator: 5 is not a value of this version"],
    );
}
