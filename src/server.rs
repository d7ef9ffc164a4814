//! Builds the roles from a configuration, joins their inboxes, and runs them until the server is told
//! to stop.

mod log;
mod login;
mod plan;
mod running;
mod trust;

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::Path;

use ringkeeper_core::config::{ClientPort, Config};
use thiserror::Error;
use tracing::{info, warn};

use crate::member::{EpochError, read_epochs};
use crate::net::{ListenError, Protection, listen};
use crate::preflight::{self, Preflight};
use crate::runtime::{Clock, StopRequests};
use crate::storage::disk::Os;
use crate::storage::hand_over;
use crate::storage::recovery::{self, Folders, Recovery};
use crate::tls::TlsError;
use crate::topology::Topology;
use crate::version;
use login::LoginFileError;
use running::Server;

/// Why the server could not start. The texts say what to change.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the texts say what each is")]
pub enum StartError {
    #[error(transparent)]
    Preflight(#[from] preflight::Failure),
    #[error("clientPortAddress={host} is no address of this machine: {source}")]
    Unresolved { host: String, source: io::Error },
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Epoch(#[from] EpochError),
    #[error(transparent)]
    Recover(#[from] recovery::RecoverError),
    #[error("Failed to initialize authentication mechanism using SASL: {0}")]
    Login(#[from] LoginFileError),
    #[error("cannot start: {0}")]
    Start(#[from] io::Error),
}

impl StartError {
    /// The exit status that the Java server has for it (config §2).
    pub fn exit_status(&self) -> u8 {
        match self {
            StartError::Preflight(failure) => failure.exit_status(),
            StartError::Unresolved { .. } | StartError::Tls(_) => 2,
            _ => 1,
        }
    }

    /// What the Java server says on stderr before it ends with that.
    pub fn headline(&self) -> &'static str {
        match self.exit_status() {
            2 => "Invalid config, exiting abnormally",
            3 => "Unable to access datadir, exiting abnormally",
            _ => "Unexpected exception, exiting abnormally",
        }
    }
}

/// Serves with this configuration, which is that of a file unless none was given, until it is asked to stop; see
/// [`StopRequests`].
pub fn run(config: Config, file: Option<&Path>) -> Result<(), StartError> {
    info!("ringkeeper {}", version::FULL);
    let stop_requests = StopRequests::listen()?;
    let cpus = std::thread::available_parallelism()?.get();
    let topology = Topology::plan(&config.layout, cpus);
    let protection = Protection::load(config.ensemble.as_ref().and_then(|ensemble| ensemble.tls.as_ref()))?;
    let listener = listen_for_clients(&config.client_port)?;
    let _held = preflight::check(&Preflight {
        storage: &config.storage,
        executors: topology.executors.len(),
        connections_max: config.limits.connections,
    })?;
    let protection = protection.sparing(preflight::reserved_descriptors());
    let clock = Clock::start();
    let mut recovery = recover(&config, &topology)?;
    let Recovery { pipeline, wal, .. } = &mut recovery;
    if config.ensemble.is_none() {
        pipeline.on_durable(wal.durable().upto());
        pipeline.recovered(clock.now(), clock.wall());
    }
    info!(
        "{} znodes and {} sessions, last zxid {}",
        pipeline.tree().node_count(),
        pipeline.tree().sessions().len(),
        pipeline.last_zxid()
    );
    let address = listener.local_addr()?;
    let is_member = config.ensemble.is_some();
    let (snapshots, logs) = (config.storage.snap_dir(), config.storage.log_dir());
    let server = Server::start(config, file, &topology, clock, recovery, listener, protection)?;
    match is_member {
        false => info!("serving clients on {address}"),
        true => info!("client port: {address}"),
    }
    stop_requests.wait();
    server.stop();
    hand_over(Folders { snapshots: &snapshots, logs: &logs }, is_member);
    info!("stopped");
    Ok(())
}

/// Leaves for a Java server what no snapshot has. If it fails, what is in our log stays there.
fn hand_over(folders: Folders<'_>, is_member: bool) {
    let handed = hand_over::hand_over(&Os, folders, |last| {
        if is_member {
            read_epochs(folders.snapshots, last)?;
        }
        Ok(())
    });
    match handed {
        Ok(0) => {}
        Ok(count) => info!(
            "{count} transactions that no snapshot has are in Java's log now, in {}",
            folders.logs.display()
        ),
        Err(error) => warn!(
            "{error}: what no snapshot has is in ringkeeper's log alone. Nothing is lost, but do not start a Java server \
             on this folder: let `ringkeeper export` make one for it"
        ),
    }
}

fn recover(config: &Config, topology: &Topology) -> Result<Recovery, StartError> {
    let Config { storage, .. } = config;
    let wal_options = plan::wal(config);
    let (snapshots, logs) = (storage.snap_dir(), storage.log_dir());
    let folders = Folders { snapshots: &snapshots, logs: &logs };
    let (pipeline, tree) = (plan::pipeline(config, topology), plan::tree(config));
    Ok(recovery::recover(folders, pipeline, tree, wal_options, storage.trust_empty)?)
}

fn listen_for_clients(port: &ClientPort) -> Result<TcpListener, StartError> {
    let backlog = backlog(port);
    let unresolved = |host: &str, source| StartError::Unresolved { host: host.to_owned(), source };
    let address = match &port.host {
        None => SocketAddr::from((EVERY_INTERFACE, port.port)),
        Some(host) => {
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            let mut found = (bare, port.port).to_socket_addrs().map_err(|source| unresolved(host, source))?;
            found.next().ok_or_else(|| unresolved(host, io::ErrorKind::NotFound.into()))?
        }
    };
    match listen(address, backlog) {
        // A machine without IPv6 has only the other wildcard.
        Err(ListenError::Unusable { .. }) if port.host.is_none() => {
            Ok(listen(SocketAddr::from(([0, 0, 0, 0], port.port)), backlog)?)
        }
        listening => Ok(listening?),
    }
}

/// How many clients may wait to be accepted.
fn backlog(port: &ClientPort) -> u32 {
    u32::try_from(port.backlog).ok().filter(|backlog| *backlog > 0).unwrap_or(DEFAULT_BACKLOG)
}

const EVERY_INTERFACE: [u16; 8] = [0; 8];
/// Java's 50 is too few for clients that all come back at once.
const DEFAULT_BACKLOG: u32 = 4096;
