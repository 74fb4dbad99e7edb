//! The envelope of a log entry: what tells a replica whether it may read on.

use muster_model::{Command, Entry, TimeMs};
use prost::Message;
use prost::encoding::{DecodeContext, decode_key, skip_field};

use super::durable::Durable;
use super::error::check_known;
use super::{DecodeError, FieldError, pb};

/// The format of the envelope that is written and read.
pub const FORMAT_VERSION: u32 = 1;

/// What this version can do. An entry that needs more stops the replica.
pub const FEATURE_LEVEL: u32 = 0;

/// The first field number of a command in `Entry`; those below are the envelope's.
const FIRST_COMMAND: u32 = 16;

/// The bytes of a log entry.
pub fn encode_entry(entry: &Entry) -> Vec<u8> {
    let form = pb::Entry {
        format_version: FORMAT_VERSION,
        time_ms: entry.time.form(),
        ignorable: false,
        feature_level: FEATURE_LEVEL,
        command: Some(entry.command.form()),
    };
    form.encode_to_vec()
}

/// The log entry of these bytes. What this version does not know is a [`Command::Tick`] if the entry says that it may be
/// ignored.
///
/// # Errors
/// On any error the replica must stop: the others may have applied the entry.
pub fn decode_entry(bytes: &[u8]) -> Result<Entry, DecodeError> {
    let form = pb::Entry::decode(bytes).map_err(DecodeError::Malformed)?;
    if form.format_version != FORMAT_VERSION {
        return Err(DecodeError::UnknownFormat { found: form.format_version });
    }
    let (time, ignorable) = (TimeMs(form.time_ms), form.ignorable);
    match command(form, bytes) {
        Ok(command) => Ok(Entry { time, command }),
        Err(error) if ignorable && error.is_unknown() => Ok(Entry { time, command: Command::Tick }),
        Err(error) => Err(error),
    }
}

fn command(form: pb::Entry, bytes: &[u8]) -> Result<Command, DecodeError> {
    if form.feature_level > FEATURE_LEVEL {
        return Err(DecodeError::UnknownFeature { found: form.feature_level });
    }
    if form.command.is_none() {
        return Err(match command_number(bytes).map_err(DecodeError::Malformed)? {
            Some(number) => DecodeError::UnknownCommand { number },
            None => FieldError::missing("command").into(),
        });
    }
    check_known(&form, bytes)?;
    let command = form.command.ok_or_else(|| FieldError::missing("command"))?;
    Ok(Command::read(command)?)
}

/// The field number of the first command, known or not. The generated decoder passes over numbers that it does not know.
fn command_number(mut bytes: &[u8]) -> Result<Option<u32>, prost::DecodeError> {
    while !bytes.is_empty() {
        let (number, wire_type) = decode_key(&mut bytes)?;
        if number >= FIRST_COMMAND {
            return Ok(Some(number));
        }
        skip_field(wire_type, number, &mut bytes, DecodeContext::default())?;
    }
    Ok(None)
}
