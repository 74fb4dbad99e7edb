//! A member as its agent describes it when it joins.

use muster_model::{Backend, ClusterSpec, Location, PriceClass, Taint, TaintEffect};

use super::field::{FieldError, UNKNOWN_VALUE, convert, convert_all, nonempty};
use super::pb;

impl From<&ClusterSpec> for pb::ClusterSpec {
    fn from(spec: &ClusterSpec) -> Self {
        Self {
            location: Some((&spec.location).into()),
            price_class: pb::PriceClass::from(spec.price_class).into(),
            backend: pb::Backend::from(spec.backend).into(),
            labels: spec.labels.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
            taints: spec.taints.iter().map(Into::into).collect(),
            unschedulable: spec.unschedulable,
            transfer_bytes_per_second: spec.transfer_bytes_per_second,
        }
    }
}

impl TryFrom<pb::ClusterSpec> for ClusterSpec {
    type Error = FieldError;

    fn try_from(spec: pb::ClusterSpec) -> Result<Self, FieldError> {
        Ok(Self {
            price_class: price_class(spec.price_class())?,
            backend: backend(spec.backend())?,
            location: convert(spec.location, "location")?,
            labels: spec.labels.into_iter().map(|(k, v)| (k.into(), v.into())).collect(),
            taints: convert_all(spec.taints, "taints")?,
            unschedulable: spec.unschedulable,
            transfer_bytes_per_second: spec.transfer_bytes_per_second,
        })
    }
}

impl From<&Location> for pb::Location {
    fn from(location: &Location) -> Self {
        Self {
            provider: location.provider.to_string(),
            region: location.region.to_string(),
            zone: location.zone.as_ref().map(ToString::to_string),
        }
    }
}

impl TryFrom<pb::Location> for Location {
    type Error = FieldError;

    fn try_from(location: pb::Location) -> Result<Self, FieldError> {
        Ok(Self {
            provider: nonempty(location.provider, "provider")?.into(),
            region: nonempty(location.region, "region")?.into(),
            zone: location.zone.map(Into::into),
        })
    }
}

impl From<&Taint> for pb::Taint {
    fn from(taint: &Taint) -> Self {
        let effect = match taint.effect {
            TaintEffect::NoSchedule => pb::TaintEffect::NoSchedule,
            TaintEffect::PreferNoSchedule => pb::TaintEffect::PreferNoSchedule,
            TaintEffect::NoExecute => pb::TaintEffect::NoExecute,
        };
        Self { key: taint.key.to_string(), value: taint.value.to_string(), effect: effect.into() }
    }
}

impl TryFrom<pb::Taint> for Taint {
    type Error = FieldError;

    fn try_from(taint: pb::Taint) -> Result<Self, FieldError> {
        let effect = match taint.effect() {
            pb::TaintEffect::NoSchedule => TaintEffect::NoSchedule,
            pb::TaintEffect::PreferNoSchedule => TaintEffect::PreferNoSchedule,
            pb::TaintEffect::NoExecute => TaintEffect::NoExecute,
            pb::TaintEffect::Unspecified => return Err(FieldError::new("effect", UNKNOWN_VALUE)),
        };
        Ok(Self { key: nonempty(taint.key, "key")?.into(), value: taint.value.into(), effect })
    }
}

impl From<PriceClass> for pb::PriceClass {
    fn from(class: PriceClass) -> Self {
        match class {
            PriceClass::OnPrem => Self::OnPrem,
            PriceClass::OnDemand => Self::OnDemand,
            PriceClass::Spot => Self::Spot,
        }
    }
}

fn price_class(class: pb::PriceClass) -> Result<PriceClass, FieldError> {
    match class {
        pb::PriceClass::OnPrem => Ok(PriceClass::OnPrem),
        pb::PriceClass::OnDemand => Ok(PriceClass::OnDemand),
        pb::PriceClass::Spot => Ok(PriceClass::Spot),
        pb::PriceClass::Unspecified => Err(FieldError::new("price_class", UNKNOWN_VALUE)),
    }
}

impl From<Backend> for pb::Backend {
    fn from(backend: Backend) -> Self {
        match backend {
            Backend::Process => Self::Process,
            Backend::Simulated => Self::Simulated,
            Backend::Kubernetes => Self::Kubernetes,
        }
    }
}

fn backend(backend: pb::Backend) -> Result<Backend, FieldError> {
    match backend {
        pb::Backend::Process => Ok(Backend::Process),
        pb::Backend::Simulated => Ok(Backend::Simulated),
        pb::Backend::Kubernetes => Ok(Backend::Kubernetes),
        pb::Backend::Unspecified => Err(FieldError::new("backend", UNKNOWN_VALUE)),
    }
}
