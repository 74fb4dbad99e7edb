//! States are sealed before they are proposed: the log, snapshots and history hold ciphertext only. AES-256-GCM; the nonce is
//! random, the state's name is authenticated with it.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;

use crate::agents::random_id;

/// What the key is derived for.
const PURPOSE: &[u8] = b"muster terraform state v1";

/// The text was not sealed with this key under this name, or was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a Terraform state cannot be opened with this hub's key")]
pub struct Sealed;

/// The key of all states, the same on all replicas.
pub struct Seal(LessSafeKey);

impl Seal {
    /// The key that follows from a secret that all replicas share.
    pub fn new(secret: &[u8]) -> Seal {
        let key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), PURPOSE);
        let key = UnboundKey::new(&AES_256_GCM, key.as_ref()).expect("HMAC-SHA256 gives 32 bytes");
        Seal(LessSafeKey::new(key))
    }

    /// Seals a text under a name.
    pub fn seal(&self, name: &str, text: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] =
            random_id().to_be_bytes()[..NONCE_LEN].try_into().expect("128 random bits have 12 bytes");
        let mut sealed = text.to_vec();
        let aad = Aad::from(name.as_bytes());
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
            .expect("a state is far below the limit of AES-GCM");
        [&nonce[..], &sealed].concat()
    }

    /// Opens what was sealed under a name.
    pub fn open(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>, Sealed> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN).ok_or(Sealed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Sealed)?;
        let mut sealed = sealed.to_vec();
        let text =
            self.0.open_in_place(nonce, Aad::from(name.as_bytes()), &mut sealed).map_err(|_| Sealed)?;
        Ok(text.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_sealed_under_this_name_is_opened() {
        let seal = Seal::new(b"secret");
        let sealed = seal.seal("spot-01", b"plain text");
        assert_eq!(seal.open("spot-01", &sealed).as_deref(), Ok(&b"plain text"[..]));
        assert!(!sealed.windows(5).any(|window| window == b"plain"));
        assert_ne!(sealed, seal.seal("spot-01", b"plain text"), "each has a nonce of its own");
        assert_eq!(seal.open("spot-02", &sealed), Err(Sealed));
        assert_eq!(Seal::new(b"other").open("spot-01", &sealed), Err(Sealed));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(seal.open("spot-01", &changed), Err(Sealed), "byte {at}");
        }
        assert_eq!(seal.open("spot-01", b"short"), Err(Sealed));
    }
}
