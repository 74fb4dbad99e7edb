//! A partition at the agent's own edge: while the gate is closed, nothing is dialled and no session is held.

use tokio::sync::watch;

/// What whoever dials looks at.
#[derive(Clone, Debug)]
pub struct Gate(watch::Receiver<bool>);

impl Gate {
    /// A gate, open, and what moves it: `true` closes it.
    pub fn new() -> (watch::Sender<bool>, Gate) {
        let (closed, gate) = watch::channel(false);
        (closed, Gate(gate))
    }

    /// Returns when it is open. If nobody can move it any more, it is.
    pub async fn opened(&mut self) {
        let _ = self.0.wait_for(|closed| !closed).await;
    }

    /// Returns when it is closed; never if nobody can close it any more.
    pub async fn closed(&mut self) {
        if self.0.wait_for(|closed| *closed).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
