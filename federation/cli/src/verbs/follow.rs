//! Following the log of a job: every pod it has and will have, until the job has ended.

use std::collections::BTreeSet;
use std::time::Duration;

use http::{Method, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::task::JoinSet;

use super::logs::{LogPart, pods};
use super::{screen, stream};
use crate::client::Api;
use crate::exit::{Exit, Failure};

/// Between two looks at a job's pods.
const LOOK: Duration = Duration::from_millis(300);

/// Follows one job.
pub struct Follower<'a> {
    api: &'a Api,
    part: &'a LogPart,
    job: &'a str,
    uid: &'a str,
    prefix: bool,
    seen: BTreeSet<String>,
    streams: JoinSet<Result<(), Failure>>,
}

impl<'a> Follower<'a> {
    /// With `prefix`, lines of several pods may mix and each says whose it is. Else one pod is shown after the other.
    pub fn new(api: &'a Api, part: &'a LogPart, job: &'a Value, prefix: bool) -> Follower<'a> {
        let text = |field: &str| job["metadata"][field].as_str().unwrap_or_default();
        Follower {
            api,
            part,
            job: text("name"),
            uid: text("uid"),
            prefix,
            seen: BTreeSet::new(),
            streams: JoinSet::new(),
        }
    }

    /// Prints until the job has ended or is gone, and all its pods were shown.
    pub async fn run(mut self) -> anyhow::Result<Exit> {
        let mut told = false;
        loop {
            // The end is looked at first: pods of an ended job are all there, so the look at them that follows is the last.
            let ended = self.has_ended().await?;
            self.start_new().await?;
            if self.seen.is_empty() && !ended && !told {
                eprintln!(
                    "job {} has not started; waiting (`muster why {}` says for what)",
                    self.job, self.job
                );
                told = true;
            }
            if ended && self.streams.is_empty() {
                return Ok(Exit::Done);
            }
            if ended || !self.prefix {
                self.wait_for_streams().await?;
            }
            if !ended {
                tokio::time::sleep(LOOK).await;
            }
        }
    }

    async fn has_ended(&self) -> Result<bool, Failure> {
        let reply = self.api.request(Method::GET, &self.part.job_path(self.job), None).await?;
        if reply.status == StatusCode::NOT_FOUND {
            return Ok(true);
        }
        let job = reply.json()?;
        if job["metadata"]["uid"] != self.uid {
            return Ok(true);
        }
        let conditions = job["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let is_end = |kind: &str| kind == "Complete" || kind == "Failed";
        Ok(conditions.iter().any(|one| one["status"] == "True" && one["type"].as_str().is_some_and(is_end)))
    }

    /// Starts to copy the logs of pods that were not seen before.
    async fn start_new(&mut self) -> Result<(), Failure> {
        let found = pods(self.api, self.part, self.uid).await?;
        for pod in found.into_iter().filter(|pod| pod.has_started) {
            if !self.prefix && !self.streams.is_empty() {
                // In turn: the next look finds it again.
                return Ok(());
            }
            if !self.seen.insert(pod.name.clone()) {
                continue;
            }
            if !self.prefix && self.seen.len() > 1 {
                eprintln!("==> {}", pod.name);
            }
            let (api, path) = (self.api.clone(), self.part.path(&pod.name));
            let prefix = self.prefix.then(|| format!("[{}] ", pod.name));
            self.streams.spawn(async move { copy(&api, &path, prefix.as_deref()).await });
        }
        Ok(())
    }

    async fn wait_for_streams(&mut self) -> anyhow::Result<()> {
        while let Some(ended) = self.streams.join_next().await {
            ended??;
        }
        Ok(())
    }
}

/// Copies a log to standard output as it comes, whole lines only when they have a prefix.
pub async fn copy(api: &Api, path: &str, prefix: Option<&str>) -> Result<(), Failure> {
    let mut body = stream::open(api, path, "*/*").await?.map_err(|refusal| refusal.failure())?;
    let mut lines = Prefixed::new(prefix);
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| Failure::unreachable(format!("the log broke off: {error}; ask again")))?;
        if let Ok(bytes) = frame.into_data() {
            write(&lines.take(&bytes))?;
        }
    }
    write(&lines.finish())
}

fn write(bytes: &[u8]) -> Result<(), Failure> {
    screen::print_bytes(bytes).map_err(|error| Failure::negative(format!("standard output: {error}")))
}

/// Puts a prefix before each line. Without one, bytes pass as they are.
struct Prefixed<'a> {
    prefix: Option<&'a str>,
    partial: Vec<u8>,
}

impl<'a> Prefixed<'a> {
    fn new(prefix: Option<&'a str>) -> Prefixed<'a> {
        Prefixed { prefix, partial: Vec::new() }
    }

    /// The lines that these bytes complete.
    fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        let Some(prefix) = self.prefix else { return bytes.to_vec() };
        self.partial.extend_from_slice(bytes);
        let Some(end) = self.partial.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
        let rest = self.partial.split_off(end + 1);
        let whole = std::mem::replace(&mut self.partial, rest);
        whole
            .split_inclusive(|byte| *byte == b'\n')
            .flat_map(|line| [prefix.as_bytes(), line].concat())
            .collect()
    }

    /// A last line without an end.
    fn finish(&mut self) -> Vec<u8> {
        if self.partial.is_empty() { Vec::new() } else { self.take(b"\n") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_get_a_prefix() {
        let mut lines = Prefixed::new(Some("[a] "));
        assert_eq!(lines.take(b"on"), b"");
        assert_eq!(lines.take(b"e\ntwo\nthr"), b"[a] one\n[a] two\n");
        assert_eq!(lines.finish(), b"[a] thr\n");
        assert_eq!(lines.finish(), b"");
    }

    #[test]
    fn without_a_prefix_bytes_pass_as_they_are() {
        let mut plain = Prefixed::new(None);
        assert_eq!(plain.take(b"\xffon"), b"\xffon");
        assert_eq!(plain.finish(), b"");
    }
}
