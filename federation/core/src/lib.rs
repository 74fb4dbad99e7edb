//! The replicated state machine: apply(entry) gives an answer and events.
