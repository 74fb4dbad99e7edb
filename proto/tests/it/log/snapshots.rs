//! Snapshots: they come back whole, and a damaged one is found.

use std::io::{self, Read, Write};
use std::sync::Arc;

use muster_model::{Document, Key, Object, Status};
use muster_proto::log::{
    DecodeError, Header, SnapshotError, SnapshotReader, encode_object, pb, read_snapshot, write_snapshot,
};
use proptest::prelude::*;
use prost::Message;

use super::{samples, strategies};

/// Where the first record begins.
const RECORDS_AT: usize = 12;

pub fn write<'a>(header: &Header, objects: impl IntoIterator<Item = &'a Object>) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_snapshot(&mut bytes, header, objects).unwrap();
    bytes
}

pub fn read(bytes: &[u8]) -> Result<(Header, Vec<Object>), SnapshotError> {
    read_snapshot(bytes)
}

/// Some of the samples, in key order.
pub fn sample_objects() -> Vec<Object> {
    let named = |name: &str| ["job-failed", "job-queued", "namespace", "opaque", "run"].contains(&name);
    let mut objects: Vec<_> =
        samples::objects().into_iter().filter(|(name, _)| named(name)).map(|(_, object)| object).collect();
    objects.sort_by(|a, b| a.key.cmp(&b.key));
    objects
}

pub fn sample() -> Vec<u8> {
    write(&samples::header(), &sample_objects())
}

/// The records of a snapshot, each with its frame.
fn records(snapshot: &[u8]) -> Vec<&[u8]> {
    let mut rest = &snapshot[RECORDS_AT..];
    let mut records = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[..4].try_into().unwrap()) as usize;
        let (record, after) = rest.split_at(8 + length);
        records.push(record);
        rest = after;
    }
    records
}

fn joined(snapshot: &[u8], records: &[&[u8]]) -> Vec<u8> {
    [&snapshot[..RECORDS_AT], &records.concat()].concat()
}

/// A record in its frame.
fn framed(record: pb::record::Record) -> Vec<u8> {
    let payload = pb::Record { record: Some(record) }.encode_to_vec();
    let length = (payload.len() as u32).to_le_bytes();
    let crc32c = crc32c::crc32c(&[&length[..], &payload].concat());
    [&length[..], &crc32c.to_le_bytes(), &payload].concat()
}

/// What a person reads of an error, its source included.
fn told(error: &SnapshotError) -> String {
    std::error::Error::source(error).map_or(error.to_string(), |source| format!("{error}: {source}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_snapshot_comes_back(header in strategies::header(), objects in strategies::objects()) {
        let bytes = write(&header, objects.values());
        let (read_header, read_objects) = read(&bytes).unwrap();
        prop_assert_eq!(read_header, header);
        prop_assert_eq!(read_objects, objects.into_values().collect::<Vec<_>>());
    }

    #[test]
    fn random_bytes_are_no_snapshot(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(read(&bytes).is_err());
        let version_1 = [&sample()[..RECORDS_AT], &bytes].concat();
        prop_assert!(read(&version_1).is_err());
    }
}

#[test]
fn the_same_state_gives_the_same_bytes() {
    assert_eq!(sample(), sample());
}

#[test]
fn truncation_is_found_at_every_byte() {
    let snapshot = sample();
    let mut ends = vec![RECORDS_AT];
    for record in records(&snapshot) {
        ends.push(ends.last().unwrap() + record.len());
    }
    for end in 0..snapshot.len() {
        let whole_records = ends.iter().filter(|at| **at <= end).count().saturating_sub(1);
        let error = read(&snapshot[..end]).unwrap_err();
        let expected = format!("the snapshot is truncated at record {whole_records}: fetch it again");
        assert_eq!(error.to_string(), expected, "{end} bytes");
    }
}

#[test]
fn every_flipped_bit_is_found() {
    let mut snapshot = sample();
    for bit in 0..snapshot.len() * 8 {
        snapshot[bit / 8] ^= 1 << (bit % 8);
        let error = read(&snapshot).expect_err("a bit is flipped");
        let precise = match bit / 8 {
            0..8 => matches!(error, SnapshotError::NotASnapshot),
            8..RECORDS_AT => matches!(error, SnapshotError::UnknownVersion { .. }),
            _ => matches!(
                error,
                SnapshotError::Checksum { .. }
                    | SnapshotError::Truncated { .. }
                    | SnapshotError::TooLong { .. }
            ),
        };
        assert!(precise, "bit {bit}: {error}");
        snapshot[bit / 8] ^= 1 << (bit % 8);
    }
}

/// Whole records, but not the ones that were written.
#[test]
fn a_missing_doubled_or_moved_record_is_found() {
    let snapshot = sample();
    let original = records(&snapshot);
    for i in 0..original.len() {
        let mut without = original.clone();
        without.remove(i);
        assert!(read(&joined(&snapshot, &without)).is_err(), "without record {i}");
        let mut doubled = original.clone();
        doubled.insert(i, original[i]);
        assert!(read(&joined(&snapshot, &doubled)).is_err(), "record {i} twice");
        for j in 0..i {
            let mut swapped = original.clone();
            swapped.swap(i, j);
            assert!(read(&joined(&snapshot, &swapped)).is_err(), "records {i} and {j} swapped");
        }
    }
}

#[test]
fn an_error_says_what_is_wrong() {
    let snapshot = sample();
    let all = records(&snapshot);
    let end = all.len() - 1;
    let text = |bytes: &[u8]| told(&read(bytes).unwrap_err());
    assert_eq!(text(b"MUSTER-T\x01\0\0\0"), "not a snapshot: it does not begin with MUSTER-S");
    assert_eq!(
        text(b"MUSTER-S\x02\0\0\0"),
        "snapshot version 2 is not known here; this replica knows version 1: upgrade it"
    );
    assert_eq!(text(&[&snapshot[..], b"x"].concat()), "bytes follow the end of the snapshot");
    assert_eq!(
        text(&joined(&snapshot, &all[1..])),
        "record 0 of the snapshot is a text, where a header must be"
    );
    assert_eq!(
        text(&joined(&snapshot, &[all[0], all[0]])),
        "record 1 of the snapshot is a header, where an object or the end must be"
    );
    assert_eq!(
        text(&joined(&snapshot, &[all[0], all[end]])),
        "the snapshot has 0 objects, and says that it has 5"
    );
    let wrong_end = framed(pb::record::Record::End(pb::End { objects: 0, crc32c: 1 }));
    assert_eq!(
        text(&joined(&snapshot, &[all[0], &wrong_end])),
        "the snapshot is damaged: the checksum of all records differs"
    );
    assert_eq!(
        text(&joined(&snapshot, &[&u32::MAX.to_le_bytes()[..], &[0; 4]])),
        "record 0 of the snapshot is damaged: 4294967295 bytes are more than a record may have"
    );
}

/// Records that are whole and hold something that this version cannot take.
#[test]
fn an_error_names_the_record_and_the_field() {
    let snapshot = sample();
    let header = records(&snapshot)[0];
    let text = |record| told(&read(&joined(&snapshot, &[header, &framed(record)])).unwrap_err());
    assert_eq!(
        text(pb::record::Record::Object(pb::Object::default())),
        "record 1 of the snapshot cannot be taken: object.key: is missing"
    );
    assert_eq!(
        text(pb::record::Record::JobSpec(pb::JobSpec::default())),
        "record 1 of the snapshot cannot be taken: job_spec.completion: is missing"
    );
    let shared = pb::Text { text: Some(pb::text::Text::Shared(4)) };
    let (_, object) = samples::objects().remove(0);
    let mut form = pb::Object::decode(&*encode_object(&object)).unwrap();
    form.metadata = Some(shared);
    assert_eq!(
        text(pb::record::Record::Object(form)),
        "record 1 of the snapshot cannot be taken: object.metadata: is number 4 of those before it, and there are not \
         so many"
    );
}

/// Not even if the end is made to fit.
#[test]
fn objects_out_of_order_are_not_read() {
    let snapshot = sample();
    let object = |name: &str| {
        let (_, object) = samples::objects().into_iter().find(|(n, _)| n == name).unwrap();
        framed(pb::record::Record::Object(pb::Object::decode(&*encode_object(&object)).unwrap()))
    };
    for (first, second) in [("opaque", "namespace"), ("opaque", "opaque")] {
        let records = [records(&snapshot)[0], &object(first), &object(second)];
        let error = read(&joined(&snapshot, &records)).unwrap_err();
        let expected = format!("record 2 of the snapshot, {second}/team-a/a-{second}, is out of order");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn an_unknown_record_is_refused() {
    let snapshot = sample();
    let mut payload = Vec::new();
    prost::encoding::uint32::encode(6, &1, &mut payload);
    let length = (payload.len() as u32).to_le_bytes();
    let crc32c = crc32c::crc32c(&[&length[..], &payload].concat()).to_le_bytes();
    let record = [&length[..], &crc32c, &payload].concat();
    match read(&joined(&snapshot, &[records(&snapshot)[0], &record])) {
        Err(SnapshotError::Record { record: 1, source: DecodeError::UnknownContent { excess_bytes: 2 } }) => {
        }
        other => panic!("{other:?}"),
    }
}

/// A snapshot grows by what differs, and what was one text or one spec is one again.
#[test]
fn jobs_of_one_template_share_it() {
    let (_, template) = samples::objects().into_iter().find(|(name, _)| name == "job-queued").unwrap();
    let body: Arc<str> = "x".repeat(2000).into();
    let object = |i: usize| {
        let document = Document { body: Arc::clone(&body), ..template.document.clone() };
        Object { key: Key::job("team-a", &format!("train-{i:04}")), document, ..template.clone() }
    };
    let objects: Vec<_> = (0..1000).map(object).collect();
    let bytes = write(&samples::header(), &objects);
    assert!(bytes.len() < 1000 * 350, "{} bytes", bytes.len());
    let (_, restored) = read(&bytes).unwrap();
    assert_eq!(restored, objects);
    let spec = |object: &Object| match &object.status {
        Status::Job(job) => Arc::clone(&job.spec),
        other => panic!("{other:?}"),
    };
    assert!(Arc::ptr_eq(&restored[0].document.body, &restored[999].document.body));
    assert!(Arc::ptr_eq(&spec(&restored[0]), &spec(&restored[999])));
}

#[test]
#[should_panic(expected = "objects come in key order")]
fn objects_out_of_order_are_not_written() {
    let objects = sample_objects();
    write(&samples::header(), objects.iter().rev());
}

/// No reader would take it: the one who writes must hear of it.
#[test]
fn an_object_that_no_record_holds_is_not_written() {
    let mut object = sample_objects().remove(0);
    object.document.body = "x".repeat((64 << 20) + 1).into();
    let error = write_snapshot(io::sink(), &samples::header(), [&object]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert_eq!(error.to_string(), "a record of 67108870 bytes");
}

#[test]
fn a_full_disk_is_reported() {
    for room in [0, RECORDS_AT, sample().len() - 1] {
        let error = write_snapshot(Disk { room }, &samples::header(), &sample_objects()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}

/// Takes so many bytes.
#[derive(Debug)]
struct Disk {
    room: usize,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.room = self.room.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_failed_read_is_no_truncation() {
    let snapshot = sample();
    let stream = (&snapshot[..100]).chain(Broken);
    let error = SnapshotReader::open(stream).and_then(|r| r.read_all(|_, all| all.count())).unwrap_err();
    assert_eq!(told(&error), "cannot read record 0 of the snapshot: unplugged");
}

/// Cannot be read.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("unplugged"))
    }
}

/// Damage behind what `restore` looked at is found too.
#[test]
fn what_is_restored_early_is_dropped_if_the_rest_is_damaged() {
    let snapshot = sample();
    let cut = &snapshot[..snapshot.len() - 1];
    let first = SnapshotReader::open(cut).unwrap().read_all(|_, objects| objects.next());
    assert!(matches!(first, Err(SnapshotError::Truncated { .. })), "{first:?}");
}
