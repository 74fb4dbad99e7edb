//! The task that carries intents out while this replica leads. Level-triggered: it looks at what is committed and starts a run
//! for every intent that is being made or removed and has none. Losing leadership kills the runs.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use muster_core::State;
use muster_model::{
    BurstCommand, BurstPool, Command, CredentialSpec, Delete, Document, DurationMs, Intent, IntentId,
    IntentPhase, IntentStep, JoinTokenSpec, Key, Kind, Object, PoolCondition, PoolConditionKind,
    Precondition, Principal, Propagation, Put, PutMode, Spec, Status, TimeMs, kinds,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::folder::{Folder, Values, root_of};
use super::holder::{self, Holder};
use super::run::{Run, RunError};
use super::store::StateStore;
use super::version::version_of;
use crate::agents::{random_uid, secret, token_hash};
use crate::certificates::Certificates;
use crate::hub::{Hub, HubError, now};
use crate::pki::ca_pin;

/// Between two looks when nothing changed.
const LOOK: Duration = Duration::from_secs(1);
/// Between two looks for Terraform while it is missing.
const LOOK_FOR_TERRAFORM: Duration = Duration::from_secs(10);
/// How often making a member is tried before it is given up.
const APPLY_TRIES: u32 = 3;
/// Between two tries of a run: the first time, and at most.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);
/// A join token lives this much longer than the member may take to join.
const TOKEN_SLACK: DurationMs = DurationMs::from_secs(1800);

/// What the task needs.
pub struct RunnerParts {
    /// The hub.
    pub hub: Hub,
    /// The states.
    pub store: StateStore,
    /// This replica's own API, `https://HOST:PORT`.
    pub api: String,
    /// Agents ports of all replicas, this one's first, as join URLs separated by commas.
    pub join_urls: String,
    /// What a joining agent and Terraform know the hub by.
    pub certificates: Certificates,
    /// The program, or its name on PATH.
    pub terraform: PathBuf,
    /// Where working folders lie.
    pub folders: PathBuf,
    /// Where members lie unless their pool says otherwise.
    pub root: PathBuf,
}

/// The task.
pub struct Runner(Arc<RunnerParts>);

/// One leadership.
struct Reign {
    parts: Arc<RunnerParts>,
    term: u64,
    cancel: CancellationToken,
    runs: JoinSet<Done>,
    /// Intents with a run, and pools with a sweep, under way.
    busy: BTreeSet<(Key, Option<IntentId>)>,
    /// Pools that were swept.
    swept: BTreeSet<Key>,
    /// Failed tries, and when the next one may be.
    tries: BTreeMap<IntentId, (u32, Instant)>,
    next_run: u64,
    found: Option<Result<String, String>>,
    looked_at: Option<Instant>,
}

/// How a run ended.
struct Done {
    pool: Key,
    intent: Option<Intent>,
    result: Result<(), RunError>,
}

impl Runner {
    /// A task of these parts.
    pub fn new(parts: RunnerParts) -> Runner {
        Runner(Arc::new(parts))
    }

    /// Runs until it is cancelled.
    pub async fn run(self, cancel: CancellationToken) {
        let mut status = self.0.hub.status();
        loop {
            if let Some(term) = self.0.hub.leads() {
                let reign = CancellationToken::child_token(&cancel);
                self.reign(term, reign).await;
            }
            tokio::select! {
                () = cancel.cancelled() => return,
                changed = status.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Carries out what is committed, until this replica leads no more.
    async fn reign(&self, term: u64, cancel: CancellationToken) {
        let hub = &self.0.hub;
        let mut reign = Reign {
            parts: Arc::clone(&self.0),
            term,
            cancel: cancel.clone(),
            runs: JoinSet::new(),
            busy: BTreeSet::new(),
            swept: BTreeSet::new(),
            tries: BTreeMap::new(),
            next_run: 0,
            found: None,
            looked_at: None,
        };
        let (mut status, mut moved) = (hub.status(), hub.moved(&Kind::new(kinds::BURST_POOL)));
        let is_over = || hub.leads() != Some(term);
        let mut is_first = true;
        while !is_over() {
            // The first look must not miss what earlier leaders committed.
            let state = if is_first { hub.linearizable().await } else { Ok(hub.stale()) };
            if let Ok(state) = state {
                if std::mem::take(&mut is_first) {
                    reign.drop_old_credentials(&state).await;
                }
                reign.look(&state).await;
            }
            tokio::select! {
                () = cancel.cancelled() => break,
                _ = status.changed() => {}
                _ = moved.changed() => {}
                Some(Ok(done)) = reign.runs.join_next() => reign.ended(done).await,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        cancel.cancel();
        while reign.runs.join_next().await.is_some() {}
    }
}

impl Reign {
    async fn look(&mut self, state: &State) {
        let pools: Vec<Arc<Object>> =
            state.list(&Kind::new(kinds::BURST_POOL), None, None).cloned().collect();
        if pools.is_empty() {
            return;
        }
        self.look_for_terraform().await;
        for object in &pools {
            let Some(pool) = object.burst_pool() else { continue };
            self.tell(&object.key, pool).await;
            self.start_runs(&object.key, pool);
        }
    }

    async fn look_for_terraform(&mut self) {
        let is_due = self.looked_at.is_none_or(|at| at.elapsed() >= LOOK_FOR_TERRAFORM);
        if matches!(self.found, Some(Ok(_))) || !is_due {
            return;
        }
        self.looked_at = Some(Instant::now());
        self.found = Some(version_of(&self.parts.terraform, &self.cancel).await);
    }

    /// Says whether Terraform can be run here, if that is news.
    async fn tell(&self, key: &Key, pool: &BurstPool) {
        let stuck = pool.active().find_map(|intent| {
            let (tries, _) = self.tries.get(&intent.id)?;
            (intent.phase == IntentPhase::Destroying && *tries > 0).then_some(intent)
        });
        let (holds, reason, message) = match (&self.found, stuck) {
            (Some(Err(missing)), _) => (false, "TerraformMissing", missing.clone()),
            (_, Some(intent)) => {
                let log = self.parts.folders.join(&*key.name).join(format!("{}.log", intent.member));
                let message =
                    format!("{} cannot be removed and is tried again; see {}", intent.member, log.display());
                (false, "DestroyFails", message)
            }
            (Some(Ok(version)), None) => (true, "Found", format!("terraform {version}")),
            (None, None) => return,
        };
        let told = pool.condition(PoolConditionKind::Terraform);
        if told.is_some_and(|told| {
            (told.holds, &*told.reason, &*told.message) == (holds, reason, message.as_str())
        }) {
            return;
        }
        let condition = PoolCondition {
            kind: PoolConditionKind::Terraform,
            holds,
            reason: reason.into(),
            message: message.into(),
            since: TimeMs(0),
        };
        self.parts.propose(BurstCommand::Tell { pool: key.clone(), condition }).await;
    }

    /// Starts what is due: first of all one sweep of the pool, then a run per intent.
    fn start_runs(&mut self, key: &Key, pool: &BurstPool) {
        if self.swept.insert(key.clone()) {
            self.start(key, pool, None);
            return;
        }
        if self.busy.contains(&(key.clone(), None)) || !matches!(self.found, Some(Ok(_))) {
            return;
        }
        for intent in pool.active() {
            let is_due = matches!(intent.phase, IntentPhase::Applying | IntentPhase::Destroying)
                && !self.busy.contains(&(key.clone(), Some(intent.id)))
                && self.tries.get(&intent.id).is_none_or(|(_, next)| *next <= Instant::now());
            if is_due {
                self.start(key, pool, Some(intent));
            }
        }
    }

    fn start(&mut self, key: &Key, pool: &BurstPool, intent: Option<&Intent>) {
        self.busy.insert((key.clone(), intent.map(|intent| intent.id)));
        self.next_run += 1;
        let job = Job {
            parts: Arc::clone(&self.parts),
            key: key.clone(),
            pool: pool.clone(),
            term: self.term,
            run: self.next_run,
            cancel: self.cancel.clone(),
        };
        let (pool, intent) = (key.clone(), intent.cloned());
        self.runs.spawn(async move {
            let result = match &intent {
                None => job.sweep().await,
                Some(intent) => job.carry_out(intent).await,
            };
            Done { pool, intent, result }
        });
    }

    /// A run is over: the intent takes its step, or the run is tried again.
    async fn ended(&mut self, done: Done) {
        let Done { pool, intent, result } = done;
        self.busy.remove(&(pool.clone(), intent.as_ref().map(|intent| intent.id)));
        let Some(intent) = intent else {
            if let Err(error) = result {
                tracing::warn!(pool = %pool.name, %error, "sweep failed; the next leader tries again");
            }
            return;
        };
        let error = match result {
            Ok(()) => return self.step(&pool, &intent, None).await,
            Err(RunError::Cancelled) => return,
            Err(error) => error,
        };
        let (tries, next) = self.tries.entry(intent.id).or_insert((0, Instant::now()));
        *tries += 1;
        *next = Instant::now() + RETRY.saturating_mul(1 << (*tries - 1).min(6)).min(RETRY_MAX);
        tracing::warn!(member = %intent.member, phase = intent.phase.as_str(), tries, %error, "terraform run failed");
        if intent.phase == IntentPhase::Applying && *tries >= APPLY_TRIES {
            self.step(&pool, &intent, Some(error.to_string())).await;
        }
    }

    async fn step(&mut self, pool: &Key, intent: &Intent, failure: Option<String>) {
        let to = match (intent.phase, &failure) {
            (IntentPhase::Applying, None) => IntentPhase::Joining,
            (IntentPhase::Applying, Some(_)) => IntentPhase::Destroying,
            (_, _) if intent.failure.is_some() => IntentPhase::Failed,
            (_, _) => IntentPhase::Gone,
        };
        self.tries.remove(&intent.id);
        let (from, failure) = (intent.phase, failure.map(Into::into));
        let step = IntentStep { pool: pool.clone(), intent: intent.id, from, to, failure };
        self.parts.propose(BurstCommand::Step(step)).await;
    }

    /// Runs of earlier leaders lose their access to states: whatever is left of them can write nothing.
    async fn drop_old_credentials(&self, state: &State) {
        let is_of_run = |object: &&Arc<Object>| match &object.status {
            Status::Credential(credential) => credential.user.starts_with(holder::PREFIX),
            _ => false,
        };
        let all = state.list(&Kind::new(kinds::CREDENTIAL), None, None).filter(is_of_run);
        for key in all.map(|object| object.key.clone()).collect::<Vec<_>>() {
            self.parts.delete(key).await;
        }
    }
}

/// One run on its way.
struct Job {
    parts: Arc<RunnerParts>,
    key: Key,
    pool: BurstPool,
    term: u64,
    run: u64,
    cancel: CancellationToken,
}

impl Job {
    async fn carry_out(&self, intent: &Intent) -> Result<(), RunError> {
        let holder = Holder {
            pool: self.key.name.to_string(),
            member: intent.member.to_string(),
            term: self.term,
            run: self.run,
        };
        let (credential, password) = self.parts.make_credential(&holder).await?;
        let result = self.with_state(intent, &holder, password).await;
        if !matches!(result, Err(RunError::Cancelled)) {
            self.parts.delete(credential).await;
        }
        result
    }

    async fn with_state(&self, intent: &Intent, holder: &Holder, password: String) -> Result<(), RunError> {
        let mut env = self.script_env(intent);
        env.extend(self.parts.state_env(holder, password));
        let is_made = intent.phase == IntentPhase::Applying;
        if is_made {
            env.push(("MUSTER_JOIN_TOKEN".to_owned(), self.make_token(intent).await?.into()));
        }
        let run = self.prepare(intent, env)?;
        if is_made {
            return run.apply().await;
        }
        run.destroy().await?;
        let by = Principal::new(holder.to_string());
        self.parts
            .store
            .remove(&holder.member, &by)
            .await
            .map_err(|error| failed("state", error.to_string()))?;
        run.folder.remove();
        Ok(())
    }

    /// Removes what has this pool's tag and belongs to no intent.
    async fn sweep(&self) -> Result<(), RunError> {
        let keep: Vec<String> = self.pool.active().map(|intent| intent.id.to_string()).collect();
        let intent = Intent {
            id: IntentId(0),
            member: muster_model::MemberName::new("sweep"),
            phase: IntentPhase::Gone,
            since: TimeMs(0),
            requested_at: TimeMs(0),
            billed_from: None,
            hourly: muster_model::MicroUsd(0),
            cost: muster_model::MicroUsd(0),
            unwanted: false,
            failure: None,
            because: "".into(),
        };
        let mut env = self.script_env(&intent);
        env.push(("BURST_KEEP".to_owned(), keep.join(" ").into()));
        let run = self.prepare(&intent, env)?;
        let swept = run.script("sweep").await;
        run.folder.remove();
        swept
    }

    fn prepare(&self, intent: &Intent, env: Vec<(String, OsString)>) -> Result<Run, RunError> {
        let muster = std::env::current_exe().map_err(|error| failed("prepare", error.to_string()))?;
        let pin = ca_pin(self.parts.certificates.authority().certificate());
        let values = Values {
            pool: &self.key.name,
            spec: &self.pool.spec,
            intent,
            join_urls: &self.parts.join_urls,
            ca_pin: &pin,
            muster: &muster,
            root: &self.parts.root,
        };
        let folder = Folder::prepare(&self.parts.folders, &values)
            .map_err(|error| failed("prepare", format!("{}: {error}", self.parts.folders.display())))?;
        let script = folder.path().join("member.sh").into();
        let rc = folder.path().join("terraformrc").into();
        let mut all = env;
        all.extend([("BURST_SCRIPT".to_owned(), script), ("TF_CLI_CONFIG_FILE".to_owned(), rc)]);
        let terraform = self.parts.terraform.clone();
        Ok(Run { terraform, folder, env: all, cancel: self.cancel.clone() })
    }

    /// What the module's script needs outside of Terraform.
    fn script_env(&self, intent: &Intent) -> Vec<(String, OsString)> {
        let root = root_of(&self.pool.spec, &self.parts.root);
        let mut env = vec![
            ("BURST_ROOT".to_owned(), root.into()),
            ("BURST_POOL".to_owned(), self.key.name.to_string().into()),
            ("BURST_INTENT".to_owned(), intent.id.to_string().into()),
        ];
        if let Some(seconds) = self.pool.spec.variables.get("stop_seconds") {
            env.push(("BURST_SECONDS".to_owned(), seconds.to_string().into()));
        }
        env
    }

    /// A token for this member: the one that an earlier run had is known to nobody any more.
    async fn make_token(&self, intent: &Intent) -> Result<String, RunError> {
        let secret = secret();
        let expires = now().plus(self.pool.spec.join_timeout).plus(TOKEN_SLACK);
        let spec = JoinTokenSpec { hash: token_hash(&secret), member: intent.member.clone(), expires };
        let key = Key::new(kinds::JOIN_TOKEN, "", &format!("{:032x}", spec.hash.0));
        self.parts.keep(key, Spec::JoinToken(spec)).await?;
        Ok(secret)
    }
}

impl RunnerParts {
    /// Access to one state, for one run.
    async fn make_credential(&self, holder: &Holder) -> Result<(Key, String), RunError> {
        let secret = secret();
        let user = holder.to_string().into();
        let spec = CredentialSpec { hash: token_hash(&secret), user, groups: Vec::new() };
        let key = Key::new(kinds::CREDENTIAL, "", &format!("{:032x}", spec.hash.0));
        self.keep(key.clone(), Spec::Credential(spec)).await?;
        Ok((key, secret))
    }

    /// How Terraform reaches the state: by environment, never by arguments or files.
    fn state_env(&self, holder: &Holder, password: String) -> Vec<(String, OsString)> {
        let address = format!("{}/terraform/state/{}", self.api, holder.member);
        let pairs = [
            ("TF_HTTP_ADDRESS", address.clone()),
            ("TF_HTTP_LOCK_ADDRESS", address.clone()),
            ("TF_HTTP_UNLOCK_ADDRESS", address),
            // Any name does, but one with a colon ends at it (RFC 7617).
            ("TF_HTTP_USERNAME", holder.member.clone()),
            ("TF_HTTP_PASSWORD", password),
            ("TF_HTTP_CLIENT_CA_CERTIFICATE_PEM", self.certificates.set().bundle()),
            ("TF_HTTP_RETRY_MAX", "4".to_owned()),
            ("TF_IN_AUTOMATION", "1".to_owned()),
            ("TF_INPUT", "0".to_owned()),
            ("CHECKPOINT_DISABLE", "1".to_owned()),
        ];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
    }

    async fn keep(&self, key: Key, spec: Spec) -> Result<(), RunError> {
        let put = Put {
            key,
            mode: PutMode::Create { uid: random_uid() },
            spec,
            typed_version: 1,
            document: Document::default(),
            finalizers: Vec::new(),
            owners: Vec::new(),
            principal: Principal::new("system:hub"),
            idempotency: None,
        };
        let kept = self.hub.propose(Command::Put(Box::new(put))).await;
        kept.map(drop).map_err(|error: HubError| failed("prepare", error.to_string()))
    }

    async fn delete(&self, key: Key) {
        let delete = Delete {
            key,
            precondition: Precondition::default(),
            propagation: Propagation::Background,
            grace_s: None,
            principal: Principal::new("system:hub"),
        };
        if let Err(error) = self.hub.propose(Command::Delete(delete)).await {
            tracing::debug!(%error, "a credential stays until the next leader");
        }
    }

    async fn propose(&self, command: BurstCommand) {
        match self.hub.propose(Command::Burst(Box::new(command))).await {
            Ok(muster_model::Answer::Rejected(rejection)) => {
                tracing::info!(%rejection, "the pool moved on meanwhile");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "not committed; it is looked at again"),
        }
    }
}

fn failed(part: &'static str, reason: String) -> RunError {
    RunError::Failed { part, reason }
}
