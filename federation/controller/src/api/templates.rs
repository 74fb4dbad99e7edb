//! What a Pod has from its job's template: labels, image, when it was granted. Members do not send it along.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_core::State;
use muster_kubeapi::kinds::{ContainerStreams, StoredKind, render};
use muster_model::{Epoch, TimeMs, Uid};
use serde_json::Value;

use super::items::Item;
use crate::agents::MirroredPod;
use crate::hub::Hub;

/// Templates kept; beyond, all are read again.
const KEPT_MAX: usize = 4_096;

/// A job's template as far as Pods show it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    /// Labels.
    pub labels: Vec<(String, String)>,
    /// Annotations.
    pub annotations: Vec<(String, String)>,
    /// Image of the first container.
    pub image: String,
    /// Images of all containers by name, init containers included.
    pub images: BTreeMap<String, String>,
    /// Standard streams of containers by name; those that have the usual ones are left out.
    pub streams: BTreeMap<String, ContainerStreams>,
    /// When the attempt was granted, while it is the job's attempt.
    pub granted: Option<TimeMs>,
}

/// Templates of the attempts of one answer, each read once.
pub struct Templates {
    hub: Hub,
    read: BTreeMap<(Uid, Epoch), Arc<Template>>,
}

impl Templates {
    /// Nothing read yet.
    pub fn new(hub: &Hub) -> Templates {
        Templates { hub: hub.clone(), read: BTreeMap::new() }
    }

    /// A Pod with its template.
    pub fn item(&mut self, pod: Arc<MirroredPod>) -> Item {
        let key = (pod.pod.job_uid, pod.pod.epoch);
        if self.read.len() >= KEPT_MAX {
            self.read.clear();
        }
        let template =
            self.read.entry(key).or_insert_with(|| Arc::new(Template::of(&self.hub.stale(), &pod)));
        let template = Arc::clone(template);
        Item::Pod(pod, template)
    }
}

impl Template {
    /// Standard streams of the container of this name.
    pub fn streams_of(&self, container: &str) -> ContainerStreams {
        self.streams.get(container).copied().unwrap_or_default()
    }

    /// Of the Pod's job, if that is still there.
    fn of(state: &State, pod: &MirroredPod) -> Template {
        let object = state.get(&pod.pod.job).filter(|object| object.meta.uid == pod.pod.job_uid);
        let (Some(object), Some(kind)) = (object, StoredKind::of(&pod.pod.job.kind)) else {
            return Template::default();
        };
        let value = render::value(kind, object);
        let labels = value.pointer("/spec/template/metadata/labels").and_then(Value::as_object);
        let annotations = value.pointer("/spec/template/metadata/annotations").and_then(Value::as_object);
        let text = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
        let image = value.pointer("/spec/template/spec/containers/0/image").and_then(Value::as_str);
        let attempt = object.job().and_then(|job| job.attempt.as_ref());
        let granted =
            attempt.filter(|attempt| attempt.epoch == pod.pod.epoch).map(|attempt| attempt.granted_at);
        Template {
            labels: labels.into_iter().flatten().filter_map(text).collect(),
            annotations: annotations.into_iter().flatten().filter_map(text).collect(),
            image: image.unwrap_or_default().to_owned(),
            images: images(&value),
            streams: streams(&value),
            granted,
        }
    }
}

/// All containers of a job's template, init containers first.
fn containers(job: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["/spec/template/spec/initContainers", "/spec/template/spec/containers"];
    lists.into_iter().filter_map(|list| job.pointer(list)?.as_array()).flatten()
}

fn images(job: &Value) -> BTreeMap<String, String> {
    let image = |item: &Value| Some((item["name"].as_str()?.to_owned(), item["image"].as_str()?.to_owned()));
    containers(job).filter_map(image).collect()
}

fn streams(job: &Value) -> BTreeMap<String, ContainerStreams> {
    let streams = |item: &Value| {
        let is = |field: &str| item[field].as_bool() == Some(true);
        let streams = ContainerStreams { stdin: is("stdin"), stdin_once: is("stdinOnce"), tty: is("tty") };
        (streams != ContainerStreams::default()).then_some((item["name"].as_str()?.to_owned(), streams))
    };
    containers(job).filter_map(streams).collect()
}
