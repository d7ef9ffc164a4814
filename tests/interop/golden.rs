//! Transcripts recorded from the real server, and the comparison with them.

use std::{env, fs};

use ringkeeper_kit::deps::tests_dir;
use ringkeeper_kit::java;
use ringkeeper_kit::server::{Server, Settings};

use crate::ringkeeper_server;

/// Asserts that `play` yields with ringkeeper what it yielded with ZooKeeper 3.9.5: the file `name` of
/// `tests/fixtures`. With `RERECORD` set, records that file first.
///
/// `configure` is applied to the settings of either server; each is fresh.
pub(crate) fn assert_same_transcript(
    name: &str,
    configure: impl Fn(Settings) -> Settings,
    play: impl Fn(&Server) -> String,
) {
    let path = tests_dir().join("fixtures").join(name);
    if env::var_os("RERECORD").is_some() {
        let recorded = play(&configure(java::server()).start());
        fs::write(&path, recorded).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    let expected = fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; RERECORD=1 records it", path.display()));
    let transcript = play(&configure(ringkeeper_server()).start());
    assert!(
        transcript == expected,
        "not what ZooKeeper does ({name}):\n{}",
        difference(&expected, &transcript)
    );
}

/// The lines that differ, with the lines around them: `-` is ZooKeeper's, `+` is ringkeeper's.
fn difference(expected: &str, found: &str) -> String {
    similar::TextDiff::from_lines(expected, found).unified_diff().context_radius(CONTEXT_LINES).to_string()
}

const CONTEXT_LINES: usize = 6;
