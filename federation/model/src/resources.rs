//! What a pod asks for and a Node has.

use std::fmt;

use crate::ids::text_id;

text_id! {
    /// A GPU product as GPU feature discovery labels it: `NVIDIA-A100-SXM4-80GB`.
    GpuModel
}

/// Amounts of CPU, memory and GPU, of one pod or of one Node. GPUs are milli-GPUs of one model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resources {
    /// Thousandths of a GPU; whole GPUs are multiples of 1000.
    pub gpu_milli: u64,
    /// Thousandths of a CPU core.
    pub cpu_milli: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
}

impl Resources {
    /// Whether `self` can hold `request` in each dimension.
    pub fn holds(&self, request: &Resources) -> bool {
        self.gpu_milli >= request.gpu_milli
            && self.cpu_milli >= request.cpu_milli
            && self.memory_bytes >= request.memory_bytes
    }

    /// What is left after `request` is taken; `None` if it does not fit.
    pub fn minus(&self, request: &Resources) -> Option<Resources> {
        Some(Resources {
            gpu_milli: self.gpu_milli.checked_sub(request.gpu_milli)?,
            cpu_milli: self.cpu_milli.checked_sub(request.cpu_milli)?,
            memory_bytes: self.memory_bytes.checked_sub(request.memory_bytes)?,
        })
    }

    /// The sum.
    pub fn plus(&self, other: &Resources) -> Resources {
        Resources {
            gpu_milli: self.gpu_milli + other.gpu_milli,
            cpu_milli: self.cpu_milli + other.cpu_milli,
            memory_bytes: self.memory_bytes + other.memory_bytes,
        }
    }

    /// This many times as much; saturates.
    pub fn times(&self, count: u64) -> Resources {
        Resources {
            gpu_milli: self.gpu_milli.saturating_mul(count),
            cpu_milli: self.cpu_milli.saturating_mul(count),
            memory_bytes: self.memory_bytes.saturating_mul(count),
        }
    }
}

impl fmt::Display for Resources {
    /// Parts that are zero are left out: `8 GPU, 96 CPU, 1152 GiB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.gpu_milli > 0 {
            parts.push(format!("{} GPU", milli(self.gpu_milli)));
        }
        if self.cpu_milli > 0 {
            parts.push(format!("{} CPU", milli(self.cpu_milli)));
        }
        if self.memory_bytes > 0 {
            parts.push(memory(self.memory_bytes));
        }
        f.write_str(if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }.as_str())
    }
}

/// A thousandth as a decimal without trailing zeros.
fn milli(amount: u64) -> String {
    let text = format!("{}.{:03}", amount / 1000, amount % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Bytes in the largest binary unit that is not below one.
fn memory(bytes: u64) -> String {
    match bytes {
        b if b >= 1 << 30 => format!("{} GiB", b >> 30),
        b if b >= 1 << 20 => format!("{} MiB", b >> 20),
        b => format!("{b} B"),
    }
}
