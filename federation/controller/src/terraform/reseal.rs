//! Seals states anew after the sealing key changed. One that is locked is left to the run that holds it, which writes it with
//! the current key, or to the next look.

use muster_core::State;
use muster_model::{Kind, Principal, kinds};

use super::store::{StateStore, StoreError, find, piece_key, sealed_with};
use crate::secrets::{KeyId, hub_principal};

impl StateStore {
    /// Seals anew what is sealed with another key than the current one.
    ///
    /// # Errors
    /// The first state's that could not be; it is tried again at the next look.
    pub async fn reseal(&self) -> Result<(), StoreError> {
        let state = self.hub.stale();
        let current = self.vault.current(&state);
        for name in old(&state, current) {
            self.reseal_one(&name, current).await?;
        }
        Ok(())
    }

    async fn reseal_one(&self, name: &str, with: KeyId) -> Result<(), StoreError> {
        let state = self.hub.linearizable().await?;
        let (_, before) = find(&state, name)?;
        if before.lock.is_some() || before.key == Some(with) {
            return Ok(());
        }
        let Some(plain) = self.opened(&state, name, &before)? else { return Ok(()) };
        let by = hub_principal();
        let sealed = self.sealed(with, name, &plain, &by).await?;
        let changed = self.change(name, &by, |record| {
            let same = record.inline == before.inline && record.pieces == before.pieces;
            // Whoever holds the lock writes soon, with the current key.
            if record.lock.is_some() || record.key != before.key || !same {
                return Err(StoreError::Contended);
            }
            record.take(&sealed);
            Ok(())
        });
        match changed.await {
            Ok(()) => self.drop_pieces(name, before.pieces, &by).await,
            // Certainly not made. After another error it may have been: the pieces stay until the next write.
            Err(StoreError::Contended) => self.drop_pieces(name, sealed.pieces, &by).await,
            Err(error) => Err(error),
        }
    }

    /// Removes these pieces, and no others: a write that is under way has some that nothing names yet.
    async fn drop_pieces(
        &self,
        name: &str,
        pieces: Option<(String, usize)>,
        by: &Principal,
    ) -> Result<(), StoreError> {
        let Some((id, count)) = pieces else { return Ok(()) };
        for number in 0..count {
            self.delete(piece_key(name, &id, number), by).await?;
        }
        Ok(())
    }
}

/// Names of states that are not sealed with this key.
fn old(state: &State, current: KeyId) -> Vec<String> {
    let states = state.list(&Kind::new(kinds::TERRAFORM_STATE), None, None);
    let old = states.filter(|object| sealed_with(object).is_some_and(|id| id != current));
    old.map(|object| object.key.name.to_string()).collect()
}
