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

/// Runs each test with the bug that it must catch, then without it. Panics if one passes with its bug, or fails without. For
/// tests that run alone: a bug is switched on for the whole process.
pub fn assert_each_is_caught(caught_by: &[(&str, fn())]) {
    for (name, rule) in caught_by {
        choose(Some(name));
        let broken = std::panic::catch_unwind(rule);
        choose(None);
        assert!(broken.is_err(), "{name} is not caught");
        rule();
    }
}
