use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use ringkeeper_core::config::Password;
use tracing::{error, info};

use super::context::Tls;

impl Tls {
    /// Reads files anew when they change, as long as this is in use. What holds a file is looked at once a second,
    /// and not what happens in its folder: so it does not matter how a file is replaced, nor through which links.
    pub fn watch(self: &Arc<Tls>) -> io::Result<()> {
        let (tls, seen) = (Arc::downgrade(self), self.stamps());
        thread::Builder::new().name("certificates".into()).spawn(move || watch(&tls, seen)).map(drop)
    }

    fn stamps(&self) -> Vec<Option<Stamp>> {
        let options = self.options();
        let files = [&options.key_store, &options.trust_store].into_iter().flat_map(|store| {
            let password = match &store.password {
                Password::Text(_) => None,
                Password::File(path) => Some(path),
            };
            [Some(&store.location), password]
        });
        files.flatten().map(|path| Stamp::of(path)).collect()
    }
}

/// What changes when a file does.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    len: u64,
    changed: (i64, i64),
}

impl Stamp {
    /// `None` if it is not there.
    fn of(path: &str) -> Option<Stamp> {
        let metadata = fs::metadata(path).ok()?;
        Some(Stamp {
            file: (metadata.dev(), metadata.ino()),
            len: metadata.len(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

fn watch(tls: &Weak<Tls>, mut seen: Vec<Option<Stamp>>) {
    loop {
        thread::sleep(BETWEEN_LOOKS);
        let Some(tls) = tls.upgrade() else { return };
        let now = tls.stamps();
        if now == seen {
            continue;
        }
        seen = now;
        match tls.reload() {
            Ok(()) => info!("keys and certificates were read anew, and hold for connections to come"),
            Err(problem) => error!("{problem}; what was read before holds until the file changes again"),
        }
    }
}

const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
