//! Shared text and specs: what a million alike jobs have in common is held once.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::sync::Arc;

use crate::digest::hash128;

/// Counted, shared values by their hash. Sharing cannot be observed, only measured: so a clone, which is a frozen view that
/// nothing is put into, starts without any, and the counts need not be copied each time a view is taken.
#[derive(Debug)]
pub struct Pool<T: ?Sized> {
    values: BTreeMap<u128, (Arc<T>, u64)>,
}

impl<T: ?Sized> Clone for Pool<T> {
    fn clone(&self) -> Self {
        Pool::default()
    }
}

impl<T: ?Sized> Default for Pool<T> {
    fn default() -> Self {
        Pool { values: BTreeMap::new() }
    }
}

impl<T: Eq + Hash + ?Sized> Pool<T> {
    /// The shared copy of this value, counted once more. Two values of one hash are not shared.
    pub fn share(&mut self, value: &Arc<T>) -> Arc<T> {
        let hash = hash128(&value);
        match self.values.get_mut(&hash) {
            Some((shared, count)) if shared == value => {
                *count += 1;
                Arc::clone(shared)
            }
            Some(_) => Arc::clone(value),
            None => {
                self.values.insert(hash, (Arc::clone(value), 1));
                Arc::clone(value)
            }
        }
    }

    /// One use less of this value.
    pub fn release(&mut self, value: &Arc<T>) {
        let hash = hash128(&value);
        let Some((shared, count)) = self.values.get_mut(&hash) else { return };
        if shared != value {
            return;
        }
        *count -= 1;
        if *count == 0 {
            self.values.remove(&hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one_until_the_last_is_released() {
        let mut pool = Pool::<str>::default();
        let first = pool.share(&Arc::from("body"));
        let second = pool.share(&Arc::from("body"));
        assert!(Arc::ptr_eq(&first, &second));
        pool.release(&first);
        assert_eq!(pool.values.len(), 1);
        pool.release(&second);
        assert_eq!(pool.values.len(), 0);
    }
}
