//! One replica of the hub: edges and wiring.
