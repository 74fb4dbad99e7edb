//! Datasets that this member holds, and transfers to it.
//!
//! ```text
//!  STATE/datasets/NAMESPACE/NAME/VERSION/...                     files: put there by people, or by a transfer
//!  STATE/datasets/.manifests/NAMESPACE/NAME/VERSION/DIGEST       what they are: sizes and hashes of chunks
//!  STATE/datasets/.incoming/NAMESPACE/NAME/VERSION/              a transfer under way, or cut off
//!
//!  hub --orders--> Datasets --one task each--> Fetch (pure) --read, hash, store--> .incoming --rename--> files
//!   ^                 |
//!   +--- DataReport --+---- whole copies ----> pods that wait for them
//! ```
//!
//! What decides about a transfer is `Fetch` in the member machine; here is what touches files. Bytes come from the folder
//! of the source's agent, so both must see the same disk: members of one machine, or of one shared file system.

mod datasets;
mod fetcher;
mod folder;
mod incoming;
mod manifest;
mod scan;

pub(crate) use datasets::{Datasets, DatasetsLink};
pub(crate) use folder::DataFolder;
pub use folder::PodData;
pub use manifest::{Manifest, ManifestError};
