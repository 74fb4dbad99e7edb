//! Query parameters of `pods/NAME/log`.

use jiff::Timestamp;

use crate::field::FieldError;
use crate::options::Query;
use crate::quote::go_quote;
use crate::resource::Resource;
use crate::status::Status;

/// Which part of a log is wanted, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Container; empty for the only one.
    pub container: String,
    /// Go on until the container ends.
    pub follow: bool,
    /// The container's run before this one.
    pub previous: bool,
    /// Put the time before each line.
    pub timestamps: bool,
    /// Last lines only.
    pub tail_lines: Option<u64>,
    /// Lines of the last seconds only.
    pub since_seconds: Option<u64>,
    /// Lines from this time on only.
    pub since_time: Option<Timestamp>,
    /// Stop after this many bytes.
    pub limit_bytes: Option<u64>,
}

impl LogOptions {
    /// Reads the parameters.
    ///
    /// # Errors
    /// 400 for a value that cannot be read, 422 for one that makes no sense.
    pub fn parse(pod: &Resource, name: &str, query: &Query) -> Result<Self, Status> {
        let mut errors = Vec::new();
        let options = Self {
            container: query.text("container"),
            follow: query.flag("follow"),
            previous: query.flag("previous"),
            timestamps: query.flag("timestamps"),
            tail_lines: at_least(query, "tailLines", 0, &mut errors)?,
            since_seconds: at_least(query, "sinceSeconds", 1, &mut errors)?,
            since_time: time(query.get("sinceTime").unwrap_or_default())?,
            limit_bytes: at_least(query, "limitBytes", 1, &mut errors)?,
        };
        if options.since_seconds.is_some() && options.since_time.is_some() {
            errors.push(FieldError::forbidden(
                "",
                "at most one of `sinceTime` or `sinceSeconds` may be specified",
            ));
        }
        if errors.is_empty() { Ok(options) } else { Err(Status::invalid(pod, name, &errors)) }
    }
}

fn at_least(
    query: &Query,
    key: &str,
    least: i64,
    errors: &mut Vec<FieldError>,
) -> Result<Option<u64>, Status> {
    let Some(number) = query.number(key)? else { return Ok(None) };
    if number < least {
        let detail = format!("must be greater than or equal to {least}");
        errors.push(FieldError::invalid(key, &number.into(), detail));
    }
    Ok(u64::try_from(number).ok())
}

fn time(text: &str) -> Result<Option<Timestamp>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        Status::bad_request(format!(
            "sinceTime: {} is not an RFC 3339 time such as 2026-01-31T09:30:00Z",
            go_quote(text)
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::CONFIG_MAP;

    #[test]
    fn reads_what_kubectl_logs_sends() {
        let parse = |text: &str| LogOptions::parse(&CONFIG_MAP, "p", &Query::parse(text));
        let options =
            parse("container=main&follow=true&tailLines=10&sinceSeconds=60&timestamps=true").unwrap();
        let want = LogOptions {
            container: "main".to_owned(),
            follow: true,
            timestamps: true,
            tail_lines: Some(10),
            since_seconds: Some(60),
            ..LogOptions::default()
        };
        assert_eq!(options, want);
        assert_eq!(
            parse("sinceTime=2026-01-01T00%3A00%3A00Z").unwrap().since_time.unwrap().as_second(),
            1_767_225_600
        );
        assert_eq!(parse("tailLines=-1").unwrap_err().code, 422);
        assert_eq!(parse("sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z").unwrap_err().code, 422);
        assert_eq!(parse("sinceTime=yesterday").unwrap_err().code, 400);
    }
}
