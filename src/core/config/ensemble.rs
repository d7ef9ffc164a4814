use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::client_port::HostPort;
use super::configurations::Configurations;
use super::election_timing::ElectionTiming;
use super::error::{ConfigError, Problem};
use super::key::Key;
use super::key_table::connections::READ_ONLY_MODE;
use super::key_table::ensemble::{
    CNX_TIMEOUT, DIFF_SYNCS_MAX, ELECTION_PORT_BIND_RETRY, LEADER_SERVES, MAX_NOTIFICATION_INTERVAL,
    MIN_NOTIFICATION_INTERVAL, QUORUM_CNXN_TIMEOUT, SNAP_SYNCS_MAX,
};
use super::key_table::parser::{
    INIT_LIMIT, LOCAL_SESSIONS, LOCAL_SESSIONS_UPGRADING, MULTI_ADDRESS_ENABLED, OBSERVER_MASTER_PORT,
    ORACLE_PATH, PEER_TYPE, QUORUM_LISTEN_ON_ALL_IPS, RECONFIG_ENABLED, STANDALONE_ENABLED, SYNC_LIMIT,
};
use super::key_table::storage::{COMMIT_LOG_COUNT, FORCE_SNAPSHOT_SYNC, SNAPSHOT_SIZE_FACTOR};
use super::kind::{Int, SnapshotSizeFactor};
use super::members::{Members, PeerAddress, ServerLine};
use super::membership::{Membership, MembershipBuilder};
use super::my_id;
use super::notice::Notice;
use super::quorum_sasl::QuorumSasl;
use super::sessions::Sessions;
use super::settings::Settings;
use super::sync_limits::SyncLimits;
use super::tls::PeerTls;
use super::{AnyKey, Raw, Sources};
use crate::id::ServerId;
use crate::session::NewSessions;

/// The ensemble that a configuration makes its server a member of (config §3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ensemble {
    /// This server; there is a line for it.
    pub my_id: ServerId,
    /// All servers, this one among them, and which of them decide; and, if the server knows of a reconfig that
    /// was not completed, what that was to make of them.
    pub configurations: Configurations,
    /// `reconfigEnabled`, and what goes with it; `None` if the servers are those of the file as long as the
    /// process runs.
    pub reconfig: Option<ReconfigRules>,
    /// `tickTime`, the unit of the limits.
    pub tick: Duration,
    /// `initLimit`: how long a learner may take to connect and sync.
    pub init_limit: Duration,
    /// `syncLimit`: how long leader and learner may be silent.
    pub sync_limit: Duration,
    /// `quorumListenOnAllIPs`: listen on all addresses, and not on that of this server's line alone.
    pub listens_on_all: bool,
    /// `electionPortBindRetry`: how often to try to listen for elections; `None` is for ever.
    pub bind_attempts: Option<u32>,
    /// How long things take on the election port.
    pub election: ElectionTiming,
    /// `commitLogCount`: transactions kept in memory for learners that lag, at least 500.
    pub history_count: usize,
    /// `snapshotSizeFactor`: how much of the log is read for learners that lag more.
    pub snapshot_size_factor: SnapshotSizeFactor,
    /// `forceSnapshotSync`: whether each learner gets the whole tree.
    pub force_snapshot_sync: bool,
    /// `leader.maxConcurrentSnapSyncs` and `leader.maxConcurrentDiffSyncs`.
    pub sync_limits: SyncLimits,
    /// `readonlymode.enabled`: how long to look for a leader before clients that will do with reads are served;
    /// `None` if they are not.
    pub read_only_after: Option<Duration>,
    /// `leaderServes`: whether this server serves clients while it leads.
    pub leader_serves: bool,
    /// `localSessionsEnabled` and `localSessionsUpgradingEnabled`.
    pub new_sessions: NewSessions,
    /// `observerMasterPort`: where followers listen for observers; `None` if they don't.
    pub observer_master_port: Option<u16>,
    /// `oraclePath`: the file that says whether one of two servers that vote may go on alone.
    pub oracle: Option<PathBuf>,
    /// `quorum.auth.*`: how servers prove to each other who they are; `None` if they need not.
    pub sasl: Option<QuorumSasl>,
    /// `sslQuorum`, `portUnification`, and what goes with them; `None` if servers talk in plain text.
    pub tls: Option<PeerTls>,
}

/// By which rules an ensemble may be reconfigured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReconfigRules {
    /// `standaloneEnabled`: whether at least two servers must vote, as one alone would not start as an ensemble.
    pub standalone_enabled: bool,
    /// `multiAddress.enabled`: whether a server may have several addresses.
    pub several_addresses: bool,
}

impl Ensemble {
    /// Proves a configuration's ensemble, or says what is wrong with it; `None` for a standalone server.
    pub fn prove(sources: &Sources<'_>) -> Result<Option<(Ensemble, Vec<Notice>)>, ConfigError> {
        let settings = Settings { file: sources.file, raw: sources.raw, defines: sources.defines };
        let mut notices = settings.examine()?;
        let members = Members::prove(sources, &settings)?;
        let standalone_enabled = settings.get(&STANDALONE_ENABLED)?;
        if !members.are_an_ensemble(standalone_enabled)? {
            return Ok(None);
        }
        notices.retain(|notice| notice.concerns(true));
        let tick_ms = u64::from(Sessions::prove(&settings)?.tick_ms);
        let limit = |key: &Key<Int<i32>>, missing| match settings.get(key)? {
            0 => Err(settings.whole(missing)),
            ticks => positive(&settings, key, ticks).map(|ticks| Duration::from_millis(ticks * tick_ms)),
        };
        let init_limit = limit(&INIT_LIMIT, Problem::InitLimitNotSet)?;
        let sync_limit = limit(&SYNC_LIMIT, Problem::SyncLimitNotSet)?;
        let my_id = my_id::prove(sources)?.ok_or_else(|| settings.whole(Problem::MyIdMissing))?;
        let Some(own) = members.line(my_id) else {
            let known: Vec<_> = members.membership.servers().keys().map(ToString::to_string).collect();
            let problem = Problem::NotInPeerList { id: my_id, known: known.join(", ") };
            return Err(ConfigError::whole(&members.file, problem));
        };
        tell(&settings, own, members.membership.verifier().voters().len(), &mut notices)?;
        let reconfig =
            ReconfigRules { standalone_enabled, several_addresses: settings.get(&MULTI_ADDRESS_ENABLED)? };
        let reconfig = settings.get(&RECONFIG_ENABLED)?.then_some(reconfig);
        if reconfig.is_some() && settings.get(&OBSERVER_MASTER_PORT)? > 0 {
            return Err(settings.error(&OBSERVER_MASTER_PORT, Problem::ObserverMastersReconfigured));
        }
        let oracle = settings.get(&ORACLE_PATH)?.map(PathBuf::from);
        if oracle.is_some() && members.membership.is_hierarchical() {
            return Err(settings.error(&ORACLE_PATH, Problem::OracleOfGroups));
        }
        let mut configurations = Configurations::of(Arc::new(members.membership));
        if let (Some(rules), Some((file, next))) = (reconfig, sources.next) {
            configurations.see(&Arc::new(proposed(file, next, rules)?));
        }
        if settings.get(&READ_ONLY_MODE)? && !settings.get(&LOCAL_SESSIONS)? {
            notices.push(Notice::warning(NO_SESSIONS_READ_ONLY));
        }
        let ensemble = Ensemble {
            my_id,
            configurations,
            reconfig,
            tick: Duration::from_millis(tick_ms),
            init_limit,
            sync_limit,
            listens_on_all: settings.get(&QUORUM_LISTEN_ON_ALL_IPS)?,
            bind_attempts: match settings.get(&ELECTION_PORT_BIND_RETRY)? {
                attempts @ 1.. => Some(attempts as u32),
                0 => None,
                _ => Some(ELECTION_PORT_BIND_RETRY_DEFAULT),
            },
            election: timing(&settings, sync_limit)?,
            history_count: settings.get(&COMMIT_LOG_COUNT)? as usize,
            snapshot_size_factor: settings.get(&SNAPSHOT_SIZE_FACTOR)?,
            force_snapshot_sync: settings.get(&FORCE_SNAPSHOT_SYNC)?,
            sync_limits: SyncLimits {
                trees_max: settings.get(&SNAP_SYNCS_MAX)? as usize,
                diffs_max: settings.get(&DIFF_SYNCS_MAX)? as usize,
            },
            read_only_after: settings
                .get(&READ_ONLY_MODE)?
                .then(|| READ_ONLY_AFTER_MIN.max(Duration::from_millis(tick_ms))),
            observer_master_port: match settings.get(&OBSERVER_MASTER_PORT)? {
                ..=0 => None,
                port => Some(u16::try_from(port).map_err(|_| {
                    let problem =
                        Problem::OutOfBounds { value: port.into(), allowed: "at most 65535".to_owned() };
                    settings.error(&OBSERVER_MASTER_PORT, problem)
                })?),
            },
            oracle,
            sasl: QuorumSasl::prove(&settings)?,
            leader_serves: settings.get(&LEADER_SERVES)?,
            tls: PeerTls::prove(&settings, &mut notices)?,
            new_sessions: match settings.get(&LOCAL_SESSIONS)? {
                true => NewSessions::Local { upgrades: settings.get(&LOCAL_SESSIONS_UPGRADING)? },
                false => NewSessions::Global,
            },
        };
        Ok(Some((ensemble, notices)))
    }
}

impl Ensemble {
    /// Where a follower listens for observers, if it does; for servers that vote.
    pub fn observer_master_addresses(&self) -> BTreeMap<ServerId, Vec<HostPort>> {
        let Some(port) = self.observer_master_port else { return BTreeMap::new() };
        let committed = self.configurations.committed();
        let at = |peer: &PeerAddress| HostPort { host: peer.host.clone(), port };
        let voters = committed.servers().values().filter(|line| !line.observer);
        voters.map(|line| (line.id, line.addresses.iter().map(at).collect())).collect()
    }
}

/// The configuration in the file of what was proposed last.
fn proposed(file: &str, next: &Raw, rules: ReconfigRules) -> Result<Membership, ConfigError> {
    let (mut builder, mut version) = (MembershipBuilder::default(), 0);
    for (key, value) in next.in_order() {
        let taken = match key {
            "version" => i64::from_str_radix(&value.text, 16)
                .map(|number| version = number)
                .map_err(|_| Problem::NotANumber { text: value.text.clone() }),
            _ => builder.take(key, &value.text, rules.several_addresses).map(|_| ()),
        };
        taken.map_err(|problem| {
            let (file, key) = (file.to_owned(), Some(key.to_owned()));
            ConfigError { file, origin: Some(value.origin), key, problem }
        })?;
    }
    builder.build(version).map_err(|error| ConfigError::whole(file, error))
}

/// Says what ZooKeeper warns of in the list of servers.
fn tell(
    settings: &Settings<'_>,
    own: &ServerLine,
    voters: usize,
    notices: &mut Vec<Notice>,
) -> Result<(), ConfigError> {
    match voters {
        2 => {
            notices.push(Notice::warning("No server failure will be tolerated. You need at least 3 servers."))
        }
        voters if voters % 2 == 0 => {
            notices.push(Notice::warning("Non-optimal configuration, consider an odd number of servers."))
        }
        _ => {}
    }
    let is_observer = settings.get(&PEER_TYPE)?;
    if settings.is_set(&PEER_TYPE) && is_observer != own.observer {
        let role = |observer| if observer { "OBSERVER" } else { "PARTICIPANT" };
        notices.push(Notice::warning(format!(
            "Peer type from servers list ({}) doesn't match peerType ({}). Defaulting to servers list.",
            role(own.observer),
            role(is_observer)
        )));
    }
    Ok(())
}

fn timing(settings: &Settings<'_>, sync_limit: Duration) -> Result<ElectionTiming, ConfigError> {
    let usual = ElectionTiming::default();
    let or_usual = |key: &Key<Int<i32>>, usual: Duration| {
        settings.get(key).map(|ms| match ms {
            1.. => Duration::from_millis(ms as u64),
            _ => usual,
        })
    };
    let min_notification = or_usual(&MIN_NOTIFICATION_INTERVAL, usual.min_notification)?;
    let max_notification = or_usual(&MAX_NOTIFICATION_INTERVAL, usual.max_notification)?;
    Ok(ElectionTiming {
        min_notification,
        max_notification: max_notification.min(usual.max_notification).max(min_notification),
        finalize_wait: usual.finalize_wait,
        connect: or_usual(&CNX_TIMEOUT, usual.connect)?,
        greeting: or_usual(&QUORUM_CNXN_TIMEOUT, sync_limit)?.min(usual.greeting),
        write: sync_limit * 2,
    })
}

fn positive(settings: &Settings<'_>, key: &Key<Int<i32>>, value: i32) -> Result<u64, ConfigError> {
    u64::try_from(value).ok().filter(|value| *value > 0).ok_or_else(|| {
        let problem = Problem::OutOfBounds { value: value.into(), allowed: "at least 1".to_owned() };
        settings.error(key as &dyn AnyKey, problem)
    })
}

const NO_SESSIONS_READ_ONLY: &str = "readonlymode.enabled without localSessionsEnabled lets no client in: as with \
     ZooKeeper, a server without a leader opens none but local sessions";
/// What ZooKeeper takes at the least, however short a tick is.
const READ_ONLY_AFTER_MIN: Duration = Duration::from_secs(2);
const ELECTION_PORT_BIND_RETRY_DEFAULT: u32 = 3;
