//! Keys by their id, and AES-256-GCM with them.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

/// What a key is known by: the first eight bytes of a hash of it, so that a key and its id cannot be mixed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(u64);

impl KeyId {
    /// The id of a key.
    pub fn of(key: &[u8; KEY_BYTES]) -> KeyId {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"muster.sealing-key.v1");
        context.update(key);
        let hash = context.finish();
        KeyId(u64::from_be_bytes(hash.as_ref()[..8].try_into().expect("SHA-256 has 32 bytes")))
    }
}

impl fmt::Display for KeyId {
    /// 16 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> String {
        id.to_string()
    }
}

impl TryFrom<String> for KeyId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<KeyId, Self::Error> {
        let parsed = u64::from_str_radix(&text, 16).ok().filter(|_| text.len() == 16);
        parsed.map(KeyId).ok_or("a key's id has 16 hexadecimal digits")
    }
}

/// All keys of a replica, in the order of its file.
pub struct Keyring {
    keys: Vec<(KeyId, LessSafeKey)>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

impl Keyring {
    /// A keyring of these keys; at least one.
    pub fn new(keys: &[[u8; KEY_BYTES]]) -> Keyring {
        let bound = |key: &[u8; KEY_BYTES]| {
            let unbound = UnboundKey::new(&AES_256_GCM, key).expect("the length is right");
            (KeyId::of(key), LessSafeKey::new(unbound))
        };
        Keyring { keys: keys.iter().map(bound).collect() }
    }

    /// The ids in order; the first is used unless another one was chosen.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> + '_ {
        self.keys.iter().map(|(id, _)| *id)
    }

    /// Seals bytes; `None` without this key. The nonce is random, from the operating system: a key may seal 2^32 times.
    pub fn seal(&self, id: KeyId, context: &[u8], mut bytes: Vec<u8>) -> Option<Vec<u8>> {
        let key = self.key(id)?;
        let mut nonce = [0; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).expect("the system gives random numbers");
        let sealed = Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_append_tag(sealed, Aad::from(context), &mut bytes)
            .expect("a document is shorter than 64 GiB");
        Some([nonce.as_slice(), &bytes].concat())
    }

    /// Opens what [`Keyring::seal`] made in the same context. `None` without this key; an inner `None` if a bit differs.
    pub fn open(&self, id: KeyId, context: &[u8], sealed: &[u8]) -> Option<Option<Vec<u8>>> {
        let key = self.key(id)?;
        let Some((nonce, rest)) = sealed.split_first_chunk::<NONCE_LEN>() else { return Some(None) };
        let mut bytes = rest.to_vec();
        let opened = key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(context), &mut bytes);
        let length = opened.ok().map(|plain| plain.len());
        Some(length.map(|length| {
            bytes.truncate(length);
            bytes
        }))
    }

    fn key(&self, id: KeyId) -> Option<&LessSafeKey> {
        self.keys.iter().find(|(known, _)| *known == id).map(|(_, key)| key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_and_the_context_count() {
        let ring = Keyring::new(&[[7; KEY_BYTES], [8; KEY_BYTES]]);
        let id = ring.ids().next().unwrap();
        let sealed = ring.seal(id, b"here", b"hunter2".to_vec()).unwrap();
        assert_eq!(ring.open(id, b"here", &sealed), Some(Some(b"hunter2".to_vec())));
        assert_eq!(ring.open(id, b"there", &sealed), Some(None));
        for bit in 0..sealed.len() * 8 {
            let mut other = sealed.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(ring.open(id, b"here", &other), Some(None), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert_eq!(ring.open(id, b"here", &sealed[..length]), Some(None), "{length}");
        }
        let again = ring.seal(id, b"here", b"hunter2".to_vec()).unwrap();
        assert_ne!(sealed, again, "no nonce twice");
        let other = KeyId::of(&[9; KEY_BYTES]);
        assert_eq!(ring.open(other, b"here", &sealed), None);
        assert_eq!(ring.seal(other, b"here", Vec::new()), None);
    }

    #[test]
    fn an_id_is_text_of_16_digits() {
        let id = KeyId::of(&[7; KEY_BYTES]);
        assert_eq!(KeyId::try_from(id.to_string()), Ok(id));
        for text in ["", "12", "zzzzzzzzzzzzzzzz", "00000000000000000"] {
            assert!(KeyId::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
