//! What people ask of a hub.

mod documents;

pub use documents::{collection_path, documents};
