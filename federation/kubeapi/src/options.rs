//! Query parameters of API requests, typed and checked.

use serde_json::Value;

use crate::document::{self, Encoding};
use crate::field::{FieldError, FieldErrorKind};
use crate::quote::go_quote;
use crate::resource::{Resource, Verb};
use crate::schema::Schemas;
use crate::select::{FieldSelector, LabelSelector};
use crate::status::Status;
use crate::validate::FieldValidation;

const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
const FIELD_MANAGER_MAX_BYTES: usize = 128;

/// Decoded pairs of a query string, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Decodes `a=1&b=2`; percent escapes and `+` are resolved.
    pub fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|part| !part.is_empty()).map(|part| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            (decode(key, true), decode(value, true))
        });
        Self { pairs: pairs.collect() }
    }

    /// First value of a parameter.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Every value of a parameter.
    pub fn all(&self, key: &str) -> Vec<&str> {
        self.pairs.iter().filter(|(name, _)| name == key).map(|(_, value)| value.as_str()).collect()
    }

    /// First value that is not empty, as text.
    pub fn text(&self, key: &str) -> String {
        self.get(key).unwrap_or_default().to_owned()
    }

    /// True unless it is absent, `0` or `false`.
    pub fn flag(&self, key: &str) -> bool {
        self.maybe_flag(key).unwrap_or(false)
    }

    /// As [`Query::flag`], and whether it was given at all.
    pub fn maybe_flag(&self, key: &str) -> Option<bool> {
        self.get(key).map(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    /// A whole number.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn number(&self, key: &str) -> Result<Option<i64>, Status> {
        let Some(text) = self.get(key).filter(|text| !text.is_empty()) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            Status::bad_request(format!("strconv.ParseInt: parsing {}: invalid syntax", go_quote(text)))
        })
    }
}

/// Resolves percent escapes; what is no escape stays. `+` is a space in queries only.
pub(crate) fn decode(text: &str, plus_is_space: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match escape.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(if plus_is_space && bytes[at] == b'+' { b' ' } else { bytes[at] });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// How exact a list from a resource version must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionMatch {
    /// This revision.
    Exact,
    /// This revision or a later one.
    NotOlderThan,
}

/// What becomes of dependents when an object is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// They stay.
    Orphan,
    /// The object goes first.
    Background,
    /// The object goes last.
    Foreground,
}

/// Every option of a resource request; what a verb does not use has its default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Stream changes instead of a list.
    pub watch: bool,
    /// Send bookmarks on a watch.
    pub allow_watch_bookmarks: bool,
    /// Begin a watch with everything there is.
    pub send_initial_events: Option<bool>,
    /// Revision asked for; `Some(0)` allows a stale answer, `None` wants the newest.
    pub resource_version: Option<u64>,
    /// How that revision is meant.
    pub resource_version_match: Option<VersionMatch>,
    /// Most items of one answer; `None` for all.
    pub limit: Option<u64>,
    /// Token of the last answer; empty for the first page.
    pub continue_token: String,
    /// Labels to select by.
    pub label_selector: LabelSelector,
    /// Fields to select by.
    pub field_selector: FieldSelector,
    /// Longest time of a list or watch, in seconds.
    pub timeout_seconds: Option<u64>,
    /// Do everything but store.
    pub dry_run: bool,
    /// Who changes fields; empty when not said.
    pub field_manager: String,
    /// What happens to unknown fields.
    pub field_validation: FieldValidation,
    /// Take fields over from other managers; means something to server-side apply only.
    pub force: Option<bool>,
    /// What happens to dependents; `None` for the kind's default.
    pub propagation: Option<Propagation>,
    /// Seconds until a deletion is forced; `None` for the kind's default.
    pub grace_period_seconds: Option<u64>,
    /// Preconditions of a delete.
    pub preconditions: Preconditions,
    /// Indent the answer for people.
    pub pretty: bool,
}

/// What must be true of the object for a delete to happen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preconditions {
    /// Uid it must have.
    pub uid: Option<String>,
    /// Resource version it must have.
    pub resource_version: Option<u64>,
}

impl Options {
    /// Reads the options of a request.
    ///
    /// # Errors
    /// 400 for a value that cannot be read, 422 for a combination that is not allowed.
    pub fn parse(resource: &Resource, verb: Verb, query: &Query) -> Result<Self, Status> {
        let mut options =
            Self { pretty: query.flag("pretty"), watch: verb == Verb::Watch, ..Self::default() };
        match verb {
            Verb::List | Verb::Watch => options.read_list(resource, query)?,
            Verb::Create | Verb::Update | Verb::Patch => options.read_write(verb, query)?,
            Verb::Delete => options.read_delete(query)?,
            Verb::DeleteCollection => {
                options.read_list(resource, query)?;
                options.read_delete(query)?;
            }
            Verb::Get => options.resource_version = resource_version(query.get("resourceVersion"))?,
        }
        Ok(options)
    }

    fn read_list(&mut self, resource: &Resource, query: &Query) -> Result<(), Status> {
        self.label_selector = LabelSelector::parse(query.get("labelSelector").unwrap_or_default())?;
        self.field_selector = FieldSelector::parse(resource, query.get("fieldSelector").unwrap_or_default())?;
        self.limit =
            query.number("limit")?.and_then(|limit| u64::try_from(limit).ok()).filter(|limit| *limit > 0);
        self.timeout_seconds =
            query.number("timeoutSeconds")?.and_then(|seconds| u64::try_from(seconds).ok());
        self.continue_token = query.text("continue");
        self.allow_watch_bookmarks = query.flag("allowWatchBookmarks");
        self.send_initial_events = query.maybe_flag("sendInitialEvents");
        let errors = list_errors(self.watch, query);
        if !errors.is_empty() {
            return Err(Status::invalid_options("ListOptions", &errors));
        }
        self.resource_version_match = match query.get("resourceVersionMatch") {
            Some("Exact") => Some(VersionMatch::Exact),
            Some("NotOlderThan") => Some(VersionMatch::NotOlderThan),
            _ => None,
        };
        self.resource_version = resource_version(query.get("resourceVersion"))?;
        if !self.continue_token.is_empty() && self.resource_version.is_some_and(|revision| revision > 0) {
            return Err(Status::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        Ok(())
    }

    fn read_write(&mut self, verb: Verb, query: &Query) -> Result<(), Status> {
        let mut errors = Vec::new();
        self.dry_run = dry_run(query, &mut errors);
        self.field_manager = query.text("fieldManager");
        if self.field_manager.len() > FIELD_MANAGER_MAX_BYTES {
            errors.push(FieldError::too_long("fieldManager", FIELD_MANAGER_MAX_BYTES));
        }
        if self.field_manager.chars().any(char::is_control) {
            errors.push(FieldError::invalid_text(
                "fieldManager",
                &self.field_manager,
                "should only contain printable characters",
            ));
        }
        self.field_validation = match query.get("fieldValidation").unwrap_or_default() {
            "Strict" => FieldValidation::Strict,
            "" | "Warn" => FieldValidation::Warn,
            "Ignore" => FieldValidation::Ignore,
            other => {
                errors.push(FieldError::not_supported(
                    "fieldValidation",
                    other,
                    &["", "Ignore", "Strict", "Warn"],
                ));
                FieldValidation::Warn
            }
        };
        self.force = query.maybe_flag("force");
        let kind = match verb {
            Verb::Create => "CreateOptions",
            Verb::Update => "UpdateOptions",
            _ => "PatchOptions",
        };
        if errors.is_empty() { Ok(()) } else { Err(Status::invalid_options(kind, &errors)) }
    }

    fn read_delete(&mut self, query: &Query) -> Result<(), Status> {
        let mut errors = Vec::new();
        self.dry_run = dry_run(query, &mut errors);
        self.propagation = propagation(query.get("propagationPolicy").unwrap_or_default(), &mut errors);
        if query.flag("orphanDependents") {
            self.propagation = Some(Propagation::Orphan);
        }
        self.grace_period_seconds = query.number("gracePeriodSeconds")?.map(grace);
        if errors.is_empty() { Ok(()) } else { Err(Status::invalid_options("DeleteOptions", &errors)) }
    }

    /// Overlays the `DeleteOptions` that a DELETE may carry in its body; an empty body changes nothing.
    ///
    /// # Errors
    /// 400 for a body of another kind or a wrong type, 422 for a value that is not allowed.
    pub fn with_delete_body(self, body: &[u8], encoding: Encoding) -> Result<Self, Status> {
        if body.is_empty() {
            return Ok(self);
        }
        let schema = Some((Schemas::embedded(), DELETE_OPTIONS));
        let document =
            document::parse(body, encoding, schema).map_err(|e| Status::bad_request(e.to_string()))?;
        self.overlay(&document.value)
    }

    fn overlay(mut self, body: &Value) -> Result<Self, Status> {
        let Some(map) = body.as_object() else {
            return Err(Status::bad_request("the body of a DELETE must be a DeleteOptions object"));
        };
        if map.get("kind").and_then(Value::as_str).is_some_and(|kind| kind != "DeleteOptions") {
            return Err(Status::bad_request("decoded object cannot be converted to DeleteOptions"));
        }
        let mut errors = Vec::new();
        if let Some(policy) = map.get("propagationPolicy").and_then(Value::as_str) {
            self.propagation = propagation(policy, &mut errors);
        }
        if map.get("orphanDependents") == Some(&Value::Bool(true)) {
            self.propagation = Some(Propagation::Orphan);
        }
        if let Some(seconds) = map.get("gracePeriodSeconds").filter(|value| !value.is_null()) {
            let seconds = seconds.as_i64().ok_or_else(|| {
                Status::bad_request("DeleteOptions.gracePeriodSeconds must be a whole number of seconds")
            })?;
            self.grace_period_seconds = Some(grace(seconds));
        }
        for word in map.get("dryRun").and_then(Value::as_array).into_iter().flatten() {
            self.dry_run = true;
            if word != "All" {
                errors.push(unsupported_dry_run(&word.to_string()));
            }
        }
        let wanted = |key: &str| body.pointer(&format!("/preconditions/{key}")).and_then(Value::as_str);
        self.preconditions.uid = wanted("uid").map(str::to_owned);
        self.preconditions.resource_version = resource_version(wanted("resourceVersion"))?;
        if errors.is_empty() { Ok(self) } else { Err(Status::invalid_options("DeleteOptions", &errors)) }
    }
}

/// Negative grace means "at once", as on the real server.
fn grace(seconds: i64) -> u64 {
    u64::try_from(seconds).unwrap_or(1)
}

fn resource_version(text: Option<&str>) -> Result<Option<u64>, Status> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        let quoted = go_quote(text);
        Status::bad_request(format!(
            "invalid resource version: resourceVersion: Invalid value: {quoted}: strconv.ParseUint: parsing {quoted}: invalid syntax"
        ))
    })
}

fn dry_run(query: &Query, errors: &mut Vec<FieldError>) -> bool {
    let words: Vec<_> = query.all("dryRun").into_iter().filter(|word| !word.is_empty()).collect();
    if words.iter().any(|word| *word != "All") {
        let shown: Vec<_> = words.iter().map(|word| go_quote(word)).collect();
        errors.push(unsupported_dry_run(&format!("[{}]", shown.join(","))));
    }
    !words.is_empty()
}

fn unsupported_dry_run(shown: &str) -> FieldError {
    FieldError {
        kind: FieldErrorKind::NotSupported,
        field: "dryRun".to_owned(),
        value: shown.to_owned(),
        detail: "supported values: \"All\"".to_owned(),
    }
}

fn propagation(word: &str, errors: &mut Vec<FieldError>) -> Option<Propagation> {
    match word {
        "" => None,
        "Orphan" => Some(Propagation::Orphan),
        "Background" => Some(Propagation::Background),
        "Foreground" => Some(Propagation::Foreground),
        other => {
            let words = ["Foreground", "Background", "Orphan", "nil"];
            errors.push(FieldError::not_supported("propagationPolicy", other, &words));
            None
        }
    }
}

/// The combinations of list options that mean nothing (API conventions, "resourceVersionMatch").
fn list_errors(watch: bool, query: &Query) -> Vec<FieldError> {
    const FIELD: &str = "resourceVersionMatch";
    let word = query.get(FIELD).unwrap_or_default();
    let continues = query.get("continue").is_some_and(|token| !token.is_empty());
    let initial = query.maybe_flag("sendInitialEvents").is_some();
    let forbidden = |why: &str| FieldError::forbidden(FIELD, why);
    let mut errors = Vec::new();
    if watch {
        if initial && word != "NotOlderThan" {
            errors.push(forbidden("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
        }
        if !word.is_empty() && !initial {
            errors.push(forbidden(
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            ));
        }
        if !word.is_empty() && word != "NotOlderThan" {
            errors.push(FieldError::not_supported(FIELD, word, &["NotOlderThan"]));
        }
        if continues {
            errors.push(forbidden("resourceVersionMatch is forbidden when continue is provided"));
        }
        return errors;
    }
    let revision = query.get("resourceVersion").unwrap_or_default();
    if !word.is_empty() {
        if revision.is_empty() {
            errors.push(forbidden("resourceVersionMatch is forbidden unless resourceVersion is provided"));
        }
        if continues {
            errors.push(forbidden("resourceVersionMatch is forbidden when continue is provided"));
        }
        if word != "Exact" && word != "NotOlderThan" {
            errors.push(FieldError::not_supported(FIELD, word, &["Exact", "NotOlderThan", ""]));
        }
        if word == "Exact" && revision == "0" {
            errors.push(forbidden("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""));
        }
    }
    if initial {
        errors.push(FieldError::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::CONFIG_MAP;

    fn delete(query: &str, body: &str) -> Result<Options, Status> {
        let options = Options::parse(&CONFIG_MAP, Verb::Delete, &Query::parse(query))?;
        options.with_delete_body(body.as_bytes(), Encoding::Json)
    }

    #[test]
    fn the_body_of_a_delete_wins_over_its_query() {
        let body = r#"{"kind":"DeleteOptions","propagationPolicy":"Foreground","gracePeriodSeconds":3,"dryRun":["All"],
            "preconditions":{"uid":"u","resourceVersion":"7"}}"#;
        let options = delete("propagationPolicy=Orphan", body).unwrap();
        assert_eq!(options.propagation, Some(Propagation::Foreground));
        assert_eq!((options.grace_period_seconds, options.dry_run), (Some(3), true));
        let want = Preconditions { uid: Some("u".to_owned()), resource_version: Some(7) };
        assert_eq!(options.preconditions, want);
        assert_eq!(delete("propagationPolicy=Orphan", "").unwrap().propagation, Some(Propagation::Orphan));
    }

    #[test]
    fn a_body_that_is_no_delete_options_is_refused() {
        assert_eq!(delete("", "[]").unwrap_err().code, 400);
        assert_eq!(delete("", r#"{"kind":"Job"}"#).unwrap_err().code, 400);
        assert_eq!(delete("", r#"{"gracePeriodSeconds":"soon"}"#).unwrap_err().code, 400);
        assert_eq!(delete("", r#"{"propagationPolicy":"Up"}"#).unwrap_err().code, 422);
        assert_eq!(delete("", r#"{"dryRun":["Some"]}"#).unwrap_err().code, 422);
    }
}
