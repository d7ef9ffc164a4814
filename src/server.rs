//! Builds the roles from a configuration, joins their inboxes, and runs them until the server is told
//! to stop.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use ringkeeper_core::config::Config;
use ringkeeper_core::flow::{CommitBatch, ShardId};
use ringkeeper_core::format::wal::RecordBatch;
use ringkeeper_core::prep::Pipeline;
use ringkeeper_core::shard::Shard;
use ringkeeper_core::tree::{DataTree, TreeOptions};
use tracing::{error, info};

use crate::admin::{Desk, DeskOptions};
use crate::commit::{Commit, CommitFigures};
use crate::net::{Acceptor, Admission, listen};
use crate::runtime::{Clock, Executor, ExecutorOptions, Inbox, Running, Sender, inbox, spawn};
use crate::shard::ShardRole;
use crate::storage::wal::{Wal, WalFigures};
use crate::topology::{Place, Topology};
use crate::wiring::{ToCommit, ToShard};
