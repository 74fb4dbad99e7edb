//! Injectors for real processes and networks.
