//! What is free on one Node, GPU by GPU.

use muster_model::Resources;

/// What is free on one Node. Whole GPUs are never shared; a fraction of a GPU lies on one GPU.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Room {
    /// Thousandths of CPU cores.
    pub cpu_milli: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// GPUs that nobody uses.
    pub whole: u64,
    /// Thousandths that are free on each GPU that someone uses.
    pub parts: Vec<u64>,
}

/// Where a pod's fraction of a GPU goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fraction {
    /// It asks for none.
    None,
    /// To a GPU that nobody uses.
    Whole,
    /// To the GPU at this position of [`Room::parts`].
    Part(usize),
}

impl Room {
    /// Of a Node of which the sum is known. What is not a whole GPU is taken to be on one GPU.
    pub fn of(free: &Resources) -> Room {
        let rest = free.gpu_milli % 1000;
        Room {
            cpu_milli: free.cpu_milli,
            memory_bytes: free.memory_bytes,
            whole: free.gpu_milli / 1000,
            parts: if rest > 0 { vec![rest] } else { Vec::new() },
        }
    }

    /// The sum.
    pub fn free(&self) -> Resources {
        Resources { gpu_milli: self.gpu_milli(), cpu_milli: self.cpu_milli, memory_bytes: self.memory_bytes }
    }

    /// Whether a pod that asks for this fits.
    pub fn holds(&self, request: &Resources) -> bool {
        let (whole, rest) = (request.gpu_milli / 1000, request.gpu_milli % 1000);
        self.cpu_milli >= request.cpu_milli
            && self.memory_bytes >= request.memory_bytes
            && self.whole >= whole
            && (rest == 0 || self.whole > whole || self.parts.iter().any(|part| *part >= rest))
    }

    /// Thousandths of GPUs that are free.
    pub fn gpu_milli(&self) -> u64 {
        self.whole * 1000 + self.parts.iter().sum::<u64>()
    }

    /// The places for a pod's fraction of a GPU that differ, one after the other: first those on GPUs in use. For whole GPUs
    /// there is one way. `None` if it does not fit, or after the last.
    pub fn next_fraction(&self, request: &Resources, last: Option<Fraction>) -> Option<Fraction> {
        let (whole, rest) = (request.gpu_milli / 1000, request.gpu_milli % 1000);
        let fits = self.cpu_milli >= request.cpu_milli
            && self.memory_bytes >= request.memory_bytes
            && self.whole >= whole;
        let from = match last {
            _ if !fits => return None,
            None if rest == 0 => return Some(Fraction::None),
            None => 0,
            Some(Fraction::Part(i)) => i + 1,
            Some(Fraction::None | Fraction::Whole) => return None,
        };
        let is_new = |i: &usize| self.parts[*i] >= rest && !self.parts[..*i].contains(&self.parts[*i]);
        let part = (from..self.parts.len()).find(is_new).map(Fraction::Part);
        part.or((self.whole > whole).then_some(Fraction::Whole))
    }

    /// Takes what a pod asks for; it must fit there. A GPU of which nothing is left stays, with nothing.
    pub fn take(&mut self, request: &Resources, fraction: Fraction) {
        self.cpu_milli -= request.cpu_milli;
        self.memory_bytes -= request.memory_bytes;
        self.whole -= request.gpu_milli / 1000;
        let rest = request.gpu_milli % 1000;
        match fraction {
            Fraction::None => {}
            Fraction::Whole => {
                self.whole -= 1;
                self.parts.push(1000 - rest);
            }
            Fraction::Part(i) => self.parts[i] -= rest,
        }
    }

    /// Undoes the last [`Room::take`].
    pub fn untake(&mut self, request: &Resources, fraction: Fraction) {
        self.cpu_milli += request.cpu_milli;
        self.memory_bytes += request.memory_bytes;
        self.whole += request.gpu_milli / 1000;
        match fraction {
            Fraction::None => {}
            Fraction::Whole => {
                self.whole += 1;
                self.parts.pop();
            }
            Fraction::Part(i) => self.parts[i] += request.gpu_milli % 1000,
        }
    }
}
