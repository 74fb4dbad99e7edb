//! A process that was killed on purpose stays down: started again, it waits here before it does anything else.

use std::time::Duration;

use muster_model::{FaultKind, TimeMs};
use tokio_util::sync::CancellationToken;

use crate::clock::Moment;
use crate::folder::{FaultFolder, FolderError};
use crate::guard::unwanted;
use crate::link::FaultLink;
use crate::record::FaultRecord;

/// Between two looks at the clock.
const LOOK: Duration = Duration::from_millis(20);

/// Waits until no kill of this host is in effect: its time is up, or the hub says so. Returns early when the process shall
/// end.
///
/// # Errors
/// The folder cannot be read or written.
pub async fn hold<L: FaultLink>(
    folder: &FaultFolder,
    link: &L,
    shutdown: &CancellationToken,
) -> Result<(), FolderError> {
    let is_kill = |record: &FaultRecord| record.is_in_effect() && record.kind() == Some(FaultKind::Kill);
    for record in folder.all()?.into_iter().filter(is_kill) {
        tracing::warn!(fault = record.id, "killed on purpose: stays down until the fault is over");
        tokio::select! {
            () = due(&record) => {}
            () = unwanted(link, &record.id) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
        let at = Moment::now().map_or(TimeMs(0), |now| now.time());
        folder.store(&record.ended(at))?;
    }
    Ok(())
}

async fn due(record: &FaultRecord) {
    while Moment::now().is_ok_and(|now| !record.deadline.is_over(&now)) {
        tokio::time::sleep(LOOK).await;
    }
}
