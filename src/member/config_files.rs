use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use ringkeeper_core::config::{Configurations, NEXT_SUFFIX, pointing_to};
use ringkeeper_core::id::ServerId;
use tracing::{error, info};

use crate::runtime::{Reason, Sender, fatal};
use crate::wiring::ToCommit;

/// The files that say who the servers are, of an ensemble that is reconfigured while it runs (zab §12.2):
///
/// | file | content |
/// |---|---|
/// | `<cfg>.dynamic.<version>` | the committed configuration; the version in hexadecimal |
/// | `<cfg>` | all else, and the path of that; rewritten when it changes |
/// | `<cfg>.dynamic.next` | the configuration proposed last, until it is committed |
/// | `<cfg>.bak` | `<cfg>` as the operator wrote it |
///
/// Each is written to a temporary file, made durable and renamed; in that order, so that `<cfg>` never points to
/// what is not there. Whatever a crash prevents is made good by the next start: a reconfig is in the log, too, or
/// nobody needs this server's file of it.
///
/// A thread of its own writes them, one change after the other. A folder in which nothing can be written does
/// not keep the server from going on: that is said each time, for it will start by the old files.
#[derive(Debug)]
pub struct ConfigFiles {
    changes: mpsc::Sender<Configurations>,
}

struct Files {
    /// The configuration file itself.
    file: PathBuf,
    me: ServerId,
    /// The version of the dynamic file to which it points.
    written: i64,
}

impl ConfigFiles {
    /// Of the configuration file of server `me`. `found` is what the files say; if the server starts by another
    /// proposal, `now`, they say so soon. Each later change is told as [`ToCommit::ConfigurationsSaved`] when it is on
    /// disk.
    pub fn start(
        file: &Path,
        me: ServerId,
        found: &Configurations,
        now: &Configurations,
        done: Sender<ToCommit>,
    ) -> ConfigFiles {
        // A link's target is what is replaced.
        let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
        let mut files = Files { file, me, written: found.committed().version() };
        let (found, now) = (found.clone(), now.clone());
        let (changes, inbox) = mpsc::channel::<Configurations>();
        let work = move || {
            files.begin(&found, &now);
            for configurations in inbox {
                files.save(&configurations);
                done.post(ToCommit::ConfigurationsSaved);
            }
        };
        if let Err(error) = thread::Builder::new().name("config files".into()).spawn(work) {
            fatal(
                Reason::Panic,
                format_args!("no thread can be started for the configuration's files: {error}"),
            );
        }
        ConfigFiles { changes }
    }

    /// Writes a change.
    pub(super) fn save(&self, configurations: Configurations) {
        if self.changes.send(configurations).is_err() {
            error!("the configuration's files are not written any more: their thread is gone");
        }
    }
}

impl Files {
    fn begin(&mut self, found: &Configurations, now: &Configurations) {
        if self.written == 0 {
            self.back_up();
        }
        if found.last_seen().version() != now.last_seen().version() {
            self.save(now);
        }
    }

    fn back_up(&self) {
        let copied = fs::read(&self.file).and_then(|content| replace(&self.with(BACKUP_SUFFIX), &content));
        self.report("the configuration file can't be kept as it was", copied);
    }

    fn save(&mut self, configurations: &Configurations) {
        let (committed, last_seen) = (configurations.committed(), configurations.last_seen());
        let next = self.with(NEXT_SUFFIX);
        if configurations.is_pending() {
            let written = replace(&next, last_seen.file_text(true).as_bytes());
            self.report("the proposed configuration can't be written", written);
        }
        if committed.version() > self.written {
            let written = self.commit(configurations);
            if written.is_ok() {
                self.written = committed.version();
                info!("the servers are those of {} now", self.dynamic(committed.version()).display());
            }
            self.report("the new configuration can't be written: a restart would go by the old one", written);
        }
        if !configurations.is_pending() && self.written == committed.version() {
            let removed = match fs::remove_file(&next) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                removed => removed.and_then(|()| sync_folder_of(&next)),
            };
            self.report("a configuration that is not proposed any more can't be removed", removed);
        }
    }

    fn commit(&self, configurations: &Configurations) -> io::Result<()> {
        let committed = configurations.committed();
        let dynamic = self.dynamic(committed.version());
        replace(&dynamic, committed.file_text(false).as_bytes())?;
        let content = fs::read(&self.file)?;
        let drops_client_port = committed.line(self.me).is_some_and(|line| line.client.is_some());
        replace(&self.file, &pointing_to(&content, &dynamic.to_string_lossy(), drops_client_port))
    }

    fn dynamic(&self, version: i64) -> PathBuf {
        self.with(&format!(".dynamic.{version:x}"))
    }

    fn with(&self, suffix: &str) -> PathBuf {
        let mut name = self.file.clone().into_os_string();
        name.push(suffix);
        name.into()
    }

    fn report(&self, what: &str, done: io::Result<()>) {
        if let Err(error) = done {
            error!("{}: {what}: {error}", self.file.display());
        }
    }
}

/// The old content or the new one is there, whatever happens; with the permissions of the old.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut unfinished = path.to_owned().into_os_string();
    unfinished.push(".tmp");
    let unfinished = PathBuf::from(unfinished);
    let mut written = File::create(&unfinished)?;
    if let Ok(old) = fs::metadata(path) {
        written.set_permissions(old.permissions())?;
    }
    written.write_all(content)?;
    written.sync_all()?;
    fs::rename(&unfinished, path)?;
    sync_folder_of(path)
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

const BACKUP_SUFFIX: &str = ".bak";

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ringkeeper_core::config::Membership;

    use super::*;

    fn membership(ids: &[i64], version: i64) -> Arc<Membership> {
        let lines: String = ids.iter().map(|id| format!("server.{id}=h{id}:1:2;3\n")).collect();
        Arc::new(Membership::parse(&format!("{lines}version={version:x}"), false).expect("good"))
    }

    #[test]
    fn each_file_has_what_its_name_says_and_a_proposal_goes_when_it_holds() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("zoo.cfg");
        let read = |suffix: &str| fs::read_to_string(folder.path().join(format!("zoo.cfg{suffix}"))).ok();
        fs::write(&file, "a=1\nclientPort=3\nserver.1=h1:1:2;3\n").expect("room");
        let mut files = Files { file: file.clone(), me: ServerId(1), written: 0 };
        files.back_up();
        assert_eq!(read(".bak"), read(""));
        let mut configurations = Configurations::of(membership(&[1], 0));
        configurations.see(&membership(&[1, 2], 0x10));
        files.save(&configurations);
        let lines = "server.1=h1:1:2:participant;0.0.0.0:3\nserver.2=h2:1:2:participant;0.0.0.0:3";
        assert_eq!(read(".dynamic.next"), Some(format!("{lines}\nversion=10")));
        configurations.commit(&membership(&[1, 2], 0x10));
        files.save(&configurations);
        assert_eq!((read(".dynamic.next"), read(".dynamic.10")), (None, Some(lines.to_owned())));
        let dynamic = folder.path().join("zoo.cfg.dynamic.10");
        assert_eq!(read(""), Some(format!("a=1\ndynamicConfigFile={}\n", dynamic.display())));
    }

    #[test]
    fn a_proposal_by_which_the_server_does_not_go_is_gone_after_its_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, next) = (folder.path().join("zoo.cfg"), folder.path().join("zoo.cfg.dynamic.next"));
        fs::write(&file, "a=1\ndynamicConfigFile=zoo.cfg.dynamic.5\n").expect("room");
        fs::write(&next, "server.2=h2:1:2:participant;0.0.0.0:3\nversion=10").expect("room");
        let now = Configurations::of(membership(&[1], 5));
        let mut found = now.clone();
        found.see(&membership(&[2], 0x10));
        Files { file, me: ServerId(1), written: 5 }.begin(&found, &now);
        assert!(!next.exists(), "Java would go by it");
    }

    #[test]
    fn a_folder_that_is_gone_ends_nothing() {
        let mut files = Files { file: "/no/such/folder/zoo.cfg".into(), me: ServerId(1), written: 0 };
        files.save(&Configurations::of(membership(&[1], 5)));
        assert_eq!(files.written, 0);
    }
}
