//! Which deliberate bug is switched on; compiled only with `--cfg mutants`.

use std::sync::{Arc, Mutex, PoisonError};

static CHOSEN: Mutex<Option<Arc<str>>> = Mutex::new(None);

/// Switches this one on for the whole process, or none.
pub fn choose(name: Option<&str>) {
    *CHOSEN.lock().unwrap_or_else(PoisonError::into_inner) = name.map(Into::into);
}

/// Whether it is switched on.
pub fn is_on(name: &str) -> bool {
    CHOSEN.lock().unwrap_or_else(PoisonError::into_inner).as_deref() == Some(name)
}
