//! Faults, fault plans and limits, as values.
