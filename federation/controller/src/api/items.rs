//! What lists and watches are of: stored objects, or mirrors of Pods.

use std::sync::Arc;

use muster_kubeapi::kinds::{self, Lease, Live, Rows, StoredKind, render};
use muster_kubeapi::options::Options;
use muster_kubeapi::select::{FieldSelector, LabelSelector};
use muster_model::{Object, Revision, TimeMs};
use serde_json::Value;

use super::pods;
use super::templates::Template;
use crate::agents::MirroredPod;

/// One object of a list or watch. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Item {
    /// An object of the state; of a member also its lease, where it is known.
    Stored(&'static StoredKind, Arc<Object>, Option<Lease>),
    /// A Pod as its member shows it, and what its job's template says.
    Pod(Arc<MirroredPod>, Arc<Template>),
}

impl Item {
    /// An object of the state.
    pub fn stored(kind: &'static StoredKind, object: Arc<Object>) -> Item {
        Item::Stored(kind, object, None)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Item::Stored(_, object, _) => &object.key.name,
            Item::Pod(pod, _) => &pod.pod.name,
        }
    }

    /// Its namespace; empty at cluster scope.
    pub fn namespace(&self) -> &str {
        match self {
            Item::Stored(_, object, _) => &object.key.namespace,
            Item::Pod(pod, _) => &pod.pod.job.namespace,
        }
    }

    /// Its resource version.
    pub fn revision(&self) -> u64 {
        match self {
            Item::Stored(_, object, _) => object.meta.revision.0,
            Item::Pod(pod, _) => pod.version,
        }
    }

    /// Appends it as JSON.
    pub fn render_into(&self, out: &mut String) {
        match self {
            Item::Stored(kind, object, lease) => {
                render::object_into(
                    out,
                    kind,
                    object,
                    &Live { lease: Some(&|_| *lease), now: Some(crate::hub::now()) },
                );
            }
            Item::Pod(pod, template) => pods::render_into(out, pod, template),
        }
    }

    /// As JSON.
    pub fn render(&self) -> String {
        let mut out = String::with_capacity(2048);
        self.render_into(&mut out);
        out
    }

    /// As JSON, at least its `metadata`: what rows of a Table need.
    pub fn render_metadata(&self) -> String {
        match self {
            Item::Stored(kind, object, _) => {
                let mut out = String::with_capacity(512);
                out.push_str("{\"metadata\":");
                render::metadata_into(&mut out, kind, object);
                out.push('}');
                out
            }
            Item::Pod(..) => self.render(),
        }
    }

    /// Its cells in a Table.
    pub fn cells(&self, rows: &mut Rows, now: TimeMs) -> Vec<Value> {
        match self {
            Item::Stored(kind, object, _) => (kind.cells)(object, rows),
            Item::Pod(pod, template) => pods::cells(pod, template, now),
        }
    }

    /// The same at another resource version: how a watch shows what is gone.
    pub fn at(&self, revision: u64) -> Item {
        match self {
            Item::Stored(kind, object, lease) => {
                let mut object = Object::clone(object);
                object.meta.revision = Revision(revision);
                Item::Stored(kind, Arc::new(object), *lease)
            }
            Item::Pod(pod, template) => {
                let pod = MirroredPod { version: revision, ..MirroredPod::clone(pod) };
                Item::Pod(Arc::new(pod), Arc::clone(template))
            }
        }
    }
}

/// Which objects of a kind are wanted.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this namespace; `None` for all.
    pub namespace: Option<String>,
    /// With these labels.
    pub labels: LabelSelector,
    /// With these fields.
    pub fields: FieldSelector,
}

impl Filter {
    /// The filter of a list or watch.
    pub fn new(namespace: Option<&str>, options: &Options) -> Filter {
        Filter {
            namespace: namespace.map(str::to_owned),
            labels: options.label_selector.clone(),
            fields: options.field_selector.clone(),
        }
    }

    /// Whether there is a selector.
    pub fn selects(&self) -> bool {
        !self.labels.is_empty() || !self.fields.is_empty()
    }

    /// Whether this one is wanted.
    pub fn matches(&self, item: &Item) -> bool {
        if self.namespace.as_deref().is_some_and(|namespace| namespace != item.namespace()) {
            return false;
        }
        match item {
            Item::Stored(kind, object, _) => kinds::selects(kind, object, &self.labels, &self.fields),
            Item::Pod(..) if !self.selects() => true,
            Item::Pod(..) => {
                let pod: Value = serde_json::from_str(&item.render()).unwrap_or_default();
                self.fields.matches_object(&pod) && self.labels.matches_object(&pod)
            }
        }
    }
}
