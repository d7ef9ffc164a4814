//! The oracle of an ensemble of two: a file that says whether this server may go on while the other one is away
//! (`oraclePath`). Whoever writes it must never grant that to both.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread;

use crossbeam::channel::{self, Sender};
use tracing::{info, warn};

use crate::runtime::{Reason, fatal};

/// Reads the file for whoever asks, on a thread of its own: it may be on a file system that hangs.
#[derive(Clone)]
pub struct Oracle {
    questions: Sender<Answer>,
}

/// What to do with what the oracle says.
type Answer = Box<dyn FnOnce(bool) + Send>;

impl Oracle {
    /// The oracle that writes this file. It is there as long as somebody may ask.
    pub fn start(path: PathBuf) -> Oracle {
        let (questions, asked) = channel::unbounded::<Answer>();
        let keeper = move || {
            let mut told = None;
            for answer in asked {
                let said = says(&path);
                tell(&path, &said, &mut told);
                answer(said.is_ok_and(|said| said == Some(GRANTED)));
            }
        };
        if let Err(error) = thread::Builder::new().name("oracle".into()).spawn(keeper) {
            fatal(Reason::Panic, format_args!("no thread can be started for the oracle: {error}"));
        }
        Oracle { questions }
    }

    /// Reads the file, as soon as those are answered who asked before. One that cannot be read grants nothing.
    pub fn ask(&self, answer: impl FnOnce(bool) + Send + 'static) {
        // The thread ends only with the last who may ask.
        let _ = self.questions.send(Box::new(answer));
    }
}

/// The first byte of the file, if it has one; the rest means nothing, as with Java.
fn says(path: &Path) -> io::Result<Option<u8>> {
    let mut first = [0];
    let len = File::open(path)?.read(&mut first)?;
    Ok((len == 1).then_some(first[0]))
}

/// Says in the log what the oracle says, where that is new.
fn tell(path: &Path, said: &io::Result<Option<u8>>, told: &mut Option<Result<bool, String>>) {
    let now = match said {
        Ok(first) => Ok(*first == Some(GRANTED)),
        Err(error) => Err(error.to_string()),
    };
    let file = path.display();
    if told.as_ref() == Some(&now) {
        return;
    }
    match &now {
        Ok(true) => info!("the oracle, {file}, lets this server go on without the other one"),
        Ok(false) => info!("the oracle, {file}, does not let this server go on without the other one"),
        Err(error) => warn!(
            "the oracle, {file}, cannot be read ({error}), so this server does not go on without the other one; \
             set oraclePath to a file that begins with 1 or 0"
        ),
    }
    *told = Some(now);
}

const GRANTED: u8 = b'1';

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn only_a_file_that_begins_with_1_grants_something() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("oracle");
        let oracle = Oracle::start(path.clone());
        let ask = || {
            let (answer, answered) = mpsc::channel();
            oracle.ask(move |grants| answer.send(grants).expect("somebody waits"));
            answered.recv().expect("an answer")
        };
        assert!(!ask(), "there is no file");
        for (text, grants) in
            [("1", true), ("0\n", false), ("1\n0", true), ("", false), (" 1", false), ("10", true)]
        {
            fs::write(&path, text).expect("room");
            assert_eq!(ask(), grants, "{text:?}");
        }
        fs::remove_file(&path).expect("it is there");
        fs::create_dir(&path).expect("room");
        assert!(!ask(), "a folder says nothing");
    }
}
