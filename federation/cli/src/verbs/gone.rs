//! Waiting until deleted objects are gone.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::client::Api;
use crate::exit::Failure;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// An object that was told to go.
pub struct Leaving {
    /// Where it is.
    pub path: String,
    /// Its uid: another object of the same name is not it.
    pub uid: String,
    /// What people call it.
    pub name: String,
}

/// Waits until each is gone. On a terminal a line says what is waited for.
pub async fn wait(api: &Api, leaving: &[Leaving], timeout: Option<Duration>) -> Result<(), Failure> {
    let begun = Instant::now();
    let bar = ProgressBar::with_draw_target(Some(leaving.len() as u64), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos}/{len} gone, {elapsed}: {msg}") {
        bar.set_style(style);
    }
    for object in leaving {
        bar.set_message(format!("waiting for {}", object.name));
        while !is_gone(api, object).await? {
            if timeout.is_some_and(|timeout| begun.elapsed() >= timeout) {
                bar.finish_and_clear();
                let (name, seconds) = (&object.name, begun.elapsed().as_secs());
                let hint = "its end was asked for and goes on; `muster describe` shows what holds it";
                return Err(Failure::negative(format!("{name} is still there after {seconds} s; {hint}")));
            }
            bar.tick();
            tokio::time::sleep(LOOK).await;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

async fn is_gone(api: &Api, object: &Leaving) -> Result<bool, Failure> {
    let reply = api.request(Method::GET, &object.path, None).await?;
    if reply.status == StatusCode::NOT_FOUND {
        return Ok(true);
    }
    Ok(reply.json()?["metadata"]["uid"] != object.uid.as_str())
}
