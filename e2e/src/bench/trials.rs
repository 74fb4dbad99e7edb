//! Groups of three that lose members: kill, time the next acknowledged write, heal, again. At the end nothing that was
//! acknowledged may be missing.

use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use http::{Method, StatusCode};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::bodies::{self, JOBS};
use super::context::Context;
use super::endpoint::{Endpoint, JSON};
use super::figures::percentile;
use super::first_write::first_write;
use super::peer::EtcdGroup;
use super::progress;
use super::report::{Role, Sample};
use super::subject::front_of;
use crate::local::{Federation, Options, until_within};
use crate::tools::Tool;

/// After this long a supervisor that backs off has forgotten the last death.
const SETTLED: Duration = Duration::from_millis(5_200);
/// How long a group may take to be whole again.
const HEALED: Duration = Duration::from_secs(60);
/// Writes right before each kill, which must survive it.
const WRITES_BEFORE: u32 = 10;

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victims {
    /// The leader.
    Leader,
    /// All members at once.
    All,
}

/// What a series of trials found.
struct Found {
    milliseconds: Vec<f64>,
    acknowledged: usize,
    lost: usize,
}

/// Measures Muster and, where there is one, etcd.
pub fn measure(victims: Victims, trials: u32, context: &Context) -> anyhow::Result<Vec<Sample>> {
    let peers = context.peers(&[Tool::Etcd])?;
    let mut samples = Vec::new();
    for run in 0..context.runs {
        let mut muster = MusterGroup::start(victims)?;
        let found = context.wait(series(&mut muster, victims, trials, run))?;
        samples.extend(figures(Role::Muster, &found));
        drop(muster);
        if let Some(binaries) = &peers {
            let mut etcd = EtcdTrio(context.wait(EtcdGroup::start(binaries))?, Cell::new(0));
            let found = context.wait(series(&mut etcd, victims, trials, run))?;
            samples.extend(figures(Role::Peer, &found));
        }
    }
    samples.sort_by_key(|sample| sample.subject);
    Ok(samples)
}

fn figures(role: Role, found: &Found) -> Vec<Sample> {
    let sample = |metric, unit, value| Sample::new(role, "sigkill", metric, unit, value);
    vec![
        sample("p50", "ms", percentile(&found.milliseconds, 0.5)),
        sample("p99", "ms", percentile(&found.milliseconds, 0.99)),
        sample("trials", "kills", found.milliseconds.len() as f64),
        sample("acknowledged", "writes", found.acknowledged as f64),
        sample("lost", "writes", found.lost as f64),
    ]
}

/// A group of three that can be killed and written to.
trait Group {
    /// Waits until all members are there and know everything.
    async fn heal(&mut self) -> anyhow::Result<()>;
    /// Kills with SIGKILL; the dead are started again at once. Gives the moment right before.
    async fn kill(&mut self, victims: Victims) -> anyhow::Result<Instant>;
    /// Writes something under a name; `Ok` means that it is kept.
    async fn write(&self, name: &str) -> anyhow::Result<()>;
    /// Whether a name is there.
    async fn has(&self, name: &str) -> anyhow::Result<bool>;
}

async fn series<G: Group>(group: &mut G, victims: Victims, trials: u32, run: u32) -> anyhow::Result<Found> {
    let bar = progress::bar("kills", u64::from(trials));
    let mut names = Vec::new();
    let mut milliseconds = Vec::new();
    for trial in 0..trials {
        group.heal().await?;
        for write in 0..WRITES_BEFORE {
            let name = format!("before-{run}-{trial}-{write}");
            group.write(&name).await?;
            names.push(name);
        }
        let start = group.kill(victims).await?;
        let name = |attempt: u32| format!("after-{run}-{trial}-{attempt}");
        let first = first_write(start, |attempt| {
            let (name, group) = (name(attempt), &*group);
            async move { group.write(&name).await }
        });
        let first = first.await?;
        names.push(name(first.attempt));
        milliseconds.push(first.after.as_secs_f64() * 1000.0);
        bar.inc(1);
    }
    group.heal().await?;
    let mut lost = 0;
    for name in &names {
        lost += usize::from(!group.has(name).await?);
    }
    Ok(Found { milliseconds, acknowledged: names.len(), lost })
}

/// Three replicas under `muster up`, written to through its front.
struct MusterGroup {
    federation: Federation,
    endpoint: Endpoint,
    settle: Duration,
}

impl MusterGroup {
    fn start(victims: Victims) -> anyhow::Result<MusterGroup> {
        let federation = Federation::start(&Options::default());
        let endpoint = front_of(&federation)?;
        let settle = if victims == Victims::All { SETTLED } else { Duration::ZERO };
        Ok(MusterGroup { federation, endpoint, settle })
    }

    async fn whole(&self) -> Option<()> {
        let value = self.endpoint.get("/muster/v1/replicas").await.ok()?;
        let replicas = value["replicas"].as_array()?;
        let serves = |replica: &Value| replica["role"] == "leader" || replica["role"] == "follower";
        let knows =
            |replica: &Value| replica["applied"].is_u64() && replica["applied"] == replicas[0]["applied"];
        (replicas.len() == 3 && replicas.iter().all(|replica| serves(replica) && knows(replica)))
            .then_some(())
    }
}

impl Group for MusterGroup {
    async fn heal(&mut self) -> anyhow::Result<()> {
        until_within(HEALED, "three replicas that know everything", || self.whole()).await;
        tokio::time::sleep(self.settle).await;
        Ok(())
    }

    async fn kill(&mut self, victims: Victims) -> anyhow::Result<Instant> {
        let names = match victims {
            Victims::Leader => vec![self.federation.leader().await],
            Victims::All => self.federation.names("controller"),
        };
        let pids: Vec<i32> = names.iter().map(|name| self.federation.pid(name)).collect();
        let start = Instant::now();
        for pid in pids {
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL)
                .context("a replica to kill")?;
        }
        Ok(start)
    }

    async fn write(&self, name: &str) -> anyhow::Result<()> {
        let mut job = bodies::gpu_job();
        job["metadata"] = json!({"name": name});
        let body = Bytes::from(job.to_string());
        let answer = self.endpoint.once(Method::POST, JOBS, JSON, body).await?;
        anyhow::ensure!(answer.status == StatusCode::CREATED, "{}", answer.status);
        Ok(())
    }

    async fn has(&self, name: &str) -> anyhow::Result<bool> {
        let answer = self.endpoint.once(Method::GET, &format!("{JOBS}/{name}"), JSON, Bytes::new()).await?;
        Ok(answer.status == StatusCode::OK)
    }
}

/// Three members of etcd, written to in turn, as its clients do it.
struct EtcdTrio(EtcdGroup, Cell<usize>);

impl Group for EtcdTrio {
    async fn heal(&mut self) -> anyhow::Result<()> {
        self.0.healed().await.map(drop)
    }

    async fn kill(&mut self, victims: Victims) -> anyhow::Result<Instant> {
        let leader = self.0.healed().await?;
        let start = Instant::now();
        let dead =
            self.0.members.iter_mut().enumerate().filter(|(at, _)| victims == Victims::All || *at == leader);
        let mut dead: Vec<_> = dead.map(|(_, member)| member).collect();
        dead.iter_mut().for_each(|member| member.kill());
        dead.iter_mut().try_for_each(|member| member.restart())?;
        Ok(start)
    }

    async fn write(&self, name: &str) -> anyhow::Result<()> {
        self.1.set(self.1.get() + 1);
        self.0.put(self.1.get(), name).await
    }

    async fn has(&self, name: &str) -> anyhow::Result<bool> {
        self.0.has(name).await
    }
}
