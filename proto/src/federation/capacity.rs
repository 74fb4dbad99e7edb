//! A member's capacity.

use muster_model::{CapacityChange, GpuModel, GpuSource, Incarnation, MemberName, NodeShape, Resources};

use super::field::{FieldError, UNKNOWN_VALUE, convert, convert_all, id_bytes, id128, nonempty, required};
use super::pb;

impl From<&CapacityChange> for pb::Capacity {
    fn from(capacity: &CapacityChange) -> Self {
        let gpu_source = match capacity.gpu_source {
            GpuSource::Nvml => pb::GpuSource::Nvml,
            GpuSource::Simulated => pb::GpuSource::Simulated,
            GpuSource::Kubernetes => pb::GpuSource::Kubernetes,
        };
        Self {
            member: capacity.member.to_string(),
            incarnation: Some((&capacity.incarnation).into()),
            shapes: capacity.shapes.iter().map(Into::into).collect(),
            agent_version: capacity.agent_version.to_string(),
            gpu_source: gpu_source.into(),
            can_fence: capacity.can_fence,
        }
    }
}

impl TryFrom<pb::Capacity> for CapacityChange {
    type Error = FieldError;

    fn try_from(capacity: pb::Capacity) -> Result<Self, FieldError> {
        let gpu_source = match capacity.gpu_source() {
            pb::GpuSource::Nvml => GpuSource::Nvml,
            pb::GpuSource::Simulated => GpuSource::Simulated,
            pb::GpuSource::Kubernetes => GpuSource::Kubernetes,
            pb::GpuSource::Unspecified => return Err(FieldError::new("gpu_source", UNKNOWN_VALUE)),
        };
        Ok(Self {
            member: MemberName::new(nonempty(capacity.member, "member")?),
            incarnation: convert(capacity.incarnation, "incarnation")?,
            shapes: convert_all(capacity.shapes, "shapes")?,
            agent_version: capacity.agent_version.into(),
            gpu_source,
            can_fence: capacity.can_fence,
        })
    }
}

impl From<&Incarnation> for pb::Incarnation {
    fn from(incarnation: &Incarnation) -> Self {
        Self { folder: id_bytes(incarnation.folder), boot: id_bytes(incarnation.boot) }
    }
}

impl TryFrom<pb::Incarnation> for Incarnation {
    type Error = FieldError;

    fn try_from(incarnation: pb::Incarnation) -> Result<Self, FieldError> {
        Ok(Self { folder: id128(&incarnation.folder, "folder")?, boot: id128(&incarnation.boot, "boot")? })
    }
}

impl From<&NodeShape> for pb::NodeShape {
    fn from(shape: &NodeShape) -> Self {
        Self {
            gpu_model: shape.gpu_model.as_ref().map(ToString::to_string),
            allocatable: Some((&shape.allocatable).into()),
            nodes: shape.nodes,
        }
    }
}

impl TryFrom<pb::NodeShape> for NodeShape {
    type Error = FieldError;

    fn try_from(shape: pb::NodeShape) -> Result<Self, FieldError> {
        Ok(Self {
            gpu_model: shape.gpu_model.map(GpuModel::new),
            allocatable: required(shape.allocatable, "allocatable")?.into(),
            nodes: shape.nodes,
        })
    }
}

impl From<&Resources> for pb::Resources {
    fn from(resources: &Resources) -> Self {
        Self {
            gpu_milli: resources.gpu_milli,
            cpu_milli: resources.cpu_milli,
            memory_bytes: resources.memory_bytes,
        }
    }
}

impl From<pb::Resources> for Resources {
    fn from(resources: pb::Resources) -> Self {
        Self {
            gpu_milli: resources.gpu_milli,
            cpu_milli: resources.cpu_milli,
            memory_bytes: resources.memory_bytes,
        }
    }
}
