//! Deliberate bugs: `mutant!(NAME)` is the literal `false` unless built with `--cfg mutants`.
//!
//! A package of its own, so that `consensus`, which does not speak the model's language, has them too.

#[cfg(mutants)]
pub mod mutants;

/// True when the named deliberate bug is switched on. In every ordinary build this is the literal `false`, so that the
/// bug is not even compiled in; with `--cfg mutants` the name is compared with the one chosen at run time.
#[macro_export]
macro_rules! mutant {
    ($name:ident) => {{
        #[cfg(mutants)]
        {
            const NAME: u64 = $crate::mutants::hash(stringify!($name));
            $crate::mutants::is_on(NAME)
        }
        #[cfg(not(mutants))]
        {
            false
        }
    }};
}
