//! Who asks: a user's certificate, or a bearer token whose hash is stored.
//!
//! A certificate that names a replica or a member is never a user, whatever else the request carries.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::AUTHORIZATION;
use http::request::Parts;
use muster_core::State;
use muster_kubeapi::status::Status;
use muster_model::{Key, Principal, Status as Stored, kinds};

use super::call::header;
use crate::agents::token_hash;
use crate::identity::Peer;
use crate::listen::Connection;
use crate::proxy::CheckedUser;

/// The group whose members may do everything.
pub const MASTERS: &str = "system:masters";

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its name.
    pub name: String,
    /// Its groups.
    pub groups: Vec<String>,
    /// Whether another replica passed the request on: it is not passed on again.
    pub passed_on: bool,
}

impl User {
    /// As the audit log names it.
    pub fn principal(&self) -> Principal {
        Principal::new(self.name.as_str())
    }

    /// Whether it may do everything.
    pub fn is_master(&self) -> bool {
        self.groups.iter().any(|group| group == MASTERS)
    }
}

/// Finds out who asks. `state` is looked into for bearer tokens only.
///
/// # Errors
/// 401, the same for every cause.
pub fn authenticate(parts: &Parts, state: impl FnOnce() -> State) -> Result<User, Status> {
    if let Some(CheckedUser { name, groups }) = parts.extensions.get::<CheckedUser>() {
        return Ok(User { name: name.clone(), groups: groups.clone(), passed_on: true });
    }
    let peer = parts.extensions.get::<Connection>().and_then(|connection| connection.peer.as_ref());
    match peer {
        Some(Peer::User { name, groups }) => {
            Ok(User { name: name.clone(), groups: groups.clone(), passed_on: false })
        }
        Some(Peer::Member(_) | Peer::Replica(_)) => Err(Status::unauthorized()),
        None => by_token(parts, state),
    }
}

fn by_token(parts: &Parts, state: impl FnOnce() -> State) -> Result<User, Status> {
    let value = header(&parts.headers, &AUTHORIZATION);
    let token = match parts.uri.path().starts_with(super::terraform::PREFIX) {
        true => value.and_then(basic),
        false => None,
    };
    let token =
        token.or_else(|| value.and_then(bearer).map(str::to_owned)).ok_or_else(Status::unauthorized)?;
    let hash = token_hash(&token);
    let key = Key::new(kinds::CREDENTIAL, "", &format!("{:032x}", hash.0));
    let state = state();
    match state.get(&key).map(|object| &object.status) {
        Some(Stored::Credential(credential)) if credential.hash == hash => Ok(User {
            name: credential.user.to_string(),
            groups: credential.groups.iter().map(ToString::to_string).collect(),
            passed_on: false,
        }),
        _ => Err(Status::unauthorized()),
    }
}

/// The token of `Bearer TOKEN` (RFC 6750; the scheme's case does not matter).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The password of `Basic BASE64` (RFC 7617), whatever the user name: Terraform's `http` backend knows no other way.
fn basic(value: &str) -> Option<String> {
    let (scheme, text) = value.split_once(' ')?;
    let pair = BASE64_STANDARD.decode(text.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let (_, password) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
    (!password.is_empty()).then(|| password.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bearer_tokens_are_tokens() {
        for (value, want) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Bearer ", None),
            ("Basic abc", None),
            ("abc", None),
        ] {
            assert_eq!(bearer(value), want, "{value:?}");
        }
    }

    #[test]
    fn the_password_is_what_counts_of_a_basic_pair() {
        for (value, want) in [
            ("Basic dTpwdw==", Some("pw")),
            ("basic OnB3OngK", Some("pw:x\n")),
            ("Basic dTo=", None),
            ("Basic dQ==", None),
            ("Basic !", None),
            ("Bearer dTpwdw==", None),
        ] {
            assert_eq!(basic(value).as_deref(), want, "{value:?}");
        }
    }
}
