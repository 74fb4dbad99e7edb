//! Words that all groups use: ids, keys, amounts, places, labels and what selects by them.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_model::{
    DocumentHash, DurationMs, Epoch, GpuModel, Key, Kind, Location, MemberName, MicroUsd, Principal,
    Requirement, Resources, Revision, Selector, Taint, TaintEffect, TimeMs, Toleration, Uid,
};

use super::FieldError;
use super::durable::{Durable, value};
use super::pb::{self, Operator};

durable_newtypes! {
    TimeMs(u64), DurationMs(u64), Revision(u64), Epoch(u64), MicroUsd(i64), Uid(u128), DocumentHash(u128),
    Kind(Arc<str>), MemberName(Arc<str>), Principal(Arc<str>), GpuModel(Arc<str>),
}

durable_enums! {
    TaintEffect { NoSchedule, PreferNoSchedule, NoExecute }
}

durable_structs! {
    Key => Key { kind: kind, namespace: namespace, name: name }
    Resources => Resources { gpu_milli: gpu_milli, cpu_milli: cpu_milli, memory_bytes: memory_bytes }
    Location => Location { provider: provider, region: region, zone: zone }
    Taint => Taint { key: key, value: value, effect: effect }
    Toleration => Toleration { key: key, value: value, effect: effect }
}

impl Durable for BTreeMap<Arc<str>, Arc<str>> {
    type Form = Vec<pb::Label>;

    fn form(&self) -> Vec<pb::Label> {
        self.iter().map(|(key, value)| pb::Label { key: key.form(), value: value.form() }).collect()
    }

    /// Another order, or a key that is there twice, would be another encoding of the same labels.
    fn read(form: Vec<pb::Label>) -> Result<Self, FieldError> {
        if let Some(i) = (1..form.len()).find(|&i| form[i - 1].key >= form[i].key) {
            let problem = format!("{:?} must not stand after {:?}", form[i].key, form[i - 1].key);
            return Err(FieldError::new(problem).inside(&format!("[{i}]")));
        }
        Ok(form.into_iter().map(|label| (label.key.into(), label.value.into())).collect())
    }
}

impl Durable for Selector {
    type Form = pb::Selector;

    fn form(&self) -> pb::Selector {
        pb::Selector { requirements: self.0.form() }
    }

    fn read(form: pb::Selector) -> Result<Selector, FieldError> {
        value("requirements", form.requirements).map(Selector)
    }
}

impl Durable for Requirement {
    type Form = pb::Requirement;

    fn form(&self) -> pb::Requirement {
        let (key, operator, values) = match self {
            Requirement::In(key, values) => (key, Operator::In, values.form()),
            Requirement::NotIn(key, values) => (key, Operator::NotIn, values.form()),
            Requirement::Exists(key) => (key, Operator::Exists, Vec::new()),
            Requirement::Absent(key) => (key, Operator::Absent, Vec::new()),
        };
        pb::Requirement { key: key.form(), operator: operator.into(), values }
    }

    fn read(form: pb::Requirement) -> Result<Requirement, FieldError> {
        let operator = Operator::try_from(form.operator);
        let takes_values = matches!(operator, Ok(Operator::In | Operator::NotIn));
        if !takes_values && !form.values.is_empty() {
            return Err(FieldError::new("must be empty with this operator").inside("values"));
        }
        let key = form.key.into();
        match operator {
            Ok(Operator::In) => Ok(Requirement::In(key, value("values", form.values)?)),
            Ok(Operator::NotIn) => Ok(Requirement::NotIn(key, value("values", form.values)?)),
            Ok(Operator::Exists) => Ok(Requirement::Exists(key)),
            Ok(Operator::Absent) => Ok(Requirement::Absent(key)),
            Ok(Operator::Unspecified) | Err(_) => {
                let problem = format!("{} is not a value of this version", form.operator);
                Err(FieldError::new(problem).inside("operator"))
            }
        }
    }
}
