//! Tells the program which commit it is built from.

use std::process::Command;

fn main() {
    // In a linked worktree it is not below `.git`; a path that is not there would have every build begin anew.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
    println!("cargo::rerun-if-changed=src/build.rs");
    let commit = git(&["rev-parse", "HEAD"]).unwrap_or_else(|| "unknown".into());
    let date = git(&["log", "-1", "--date=format-local:%Y-%m-%d %H:%M UTC", "--format=%cd"]);
    println!("cargo::rustc-env=RINGKEEPER_COMMIT={commit}");
    println!("cargo::rustc-env=RINGKEEPER_DATE={}", date.unwrap_or_else(|| "1970-01-01 00:00 UTC".into()));
}

/// What git says, or nothing in a tree without it.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).env("TZ", "UTC").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}
