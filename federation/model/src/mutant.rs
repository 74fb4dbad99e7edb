//! Deliberate bugs: `mutant!(NAME)` is the literal `false` unless built with `--cfg mutants`.

/// True when the named deliberate bug is switched on. In every ordinary build this is the literal `false`, so that the
/// bug is not even compiled in; with `--cfg mutants` the name is compared with the one chosen at run time.
#[macro_export]
macro_rules! mutant {
    ($name:ident) => {{
        #[cfg(mutants)]
        {
            $crate::mutants::is_on(stringify!($name))
        }
        #[cfg(not(mutants))]
        {
            false
        }
    }};
}
