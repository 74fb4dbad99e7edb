//! What objects have in common: a million jobs of one template have one text and one spec. A snapshot writes each once
//! and names it by number; an object that stands alone has everything inline.

use std::sync::Arc;

use muster_model::JobSpec;

use super::FieldError;
use super::durable::{Durable, value};
use super::pb::{self, shared_job_spec, text};

/// Where the texts and specs of written objects go.
pub(super) trait Share {
    /// The form of a text.
    fn text(&mut self, text: &Arc<str>) -> pb::Text;

    /// The form of a job's spec.
    fn spec(&mut self, spec: &Arc<JobSpec>) -> pb::SharedJobSpec;
}

/// Where the texts and specs of read objects come from.
pub(super) trait Shared {
    /// The text of this number.
    fn text(&self, number: u32) -> Option<Arc<str>>;

    /// The spec of this number.
    fn spec(&self, number: u32) -> Option<Arc<JobSpec>>;

    /// The text of a field.
    fn read_text(&self, field: &str, form: Option<pb::Text>) -> Result<Arc<str>, FieldError> {
        match form.and_then(|form| form.text).ok_or_else(|| FieldError::missing(field))? {
            text::Text::Inline(text) => Ok(text.into()),
            text::Text::Shared(number) => self.text(number).ok_or_else(|| not_here(field, number)),
        }
    }

    /// The spec of a field.
    fn read_spec(&self, field: &str, form: Option<pb::SharedJobSpec>) -> Result<Arc<JobSpec>, FieldError> {
        match form.and_then(|form| form.spec).ok_or_else(|| FieldError::missing(field))? {
            shared_job_spec::Spec::Inline(spec) => value(field, spec),
            shared_job_spec::Spec::Shared(number) => self.spec(number).ok_or_else(|| not_here(field, number)),
        }
    }
}

fn not_here(field: &str, number: u32) -> FieldError {
    FieldError::new(format!("is number {number} of those before it, and there are not so many")).inside(field)
}

/// Nothing is shared: objects stand alone.
pub(super) struct Inline;

impl Share for Inline {
    fn text(&mut self, text: &Arc<str>) -> pb::Text {
        inline_text(text)
    }

    fn spec(&mut self, spec: &Arc<JobSpec>) -> pb::SharedJobSpec {
        pb::SharedJobSpec { spec: Some(shared_job_spec::Spec::Inline(spec.form())) }
    }
}

impl Shared for Inline {
    fn text(&self, _: u32) -> Option<Arc<str>> {
        None
    }

    fn spec(&self, _: u32) -> Option<Arc<JobSpec>> {
        None
    }
}

/// The form of a text that is not shared.
pub(super) fn inline_text(text: &Arc<str>) -> pb::Text {
    pb::Text { text: Some(text::Text::Inline(text.form())) }
}
