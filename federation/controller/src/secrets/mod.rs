//! Documents that must not lie open in log, snapshots or history: sealed before they are proposed, opened at the edge that
//! answers.
//!
//! ```text
//!  body --admit--> Document --Vault::seal--> envelope { key id, nonce | ciphertext | tag } --> log, state, watch cache
//!  answer <--render-- Document <--Vault::open-- envelope <-- state
//! ```
//!
//! Apply sees envelopes only. The keys come from a file and go nowhere: not into the log, not into a message.

mod envelope;
mod key_file;
mod keyring;
mod reseal;
mod vault;

pub(crate) use key_file::write_private;
pub use key_file::{KeyFileError, add_key};
pub use keyring::KeyId;
pub use reseal::Progress;
pub(crate) use reseal::{choose, hub_principal, precondition, put, reseal};
pub use vault::{SealError, Vault, is_sealed};
