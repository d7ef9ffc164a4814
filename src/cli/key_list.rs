//! The table of keys, for an operator to read.

use std::fmt::Write;

use ringkeeper_core::config::{AnyKey, Status, keys};

/// Each key whose name contains `part`: its name, then what there is to know about it.
pub(super) fn text(part: &str) -> String {
    keys().filter(|key| key.name().contains(part)).map(entry).collect()
}

fn entry(key: &dyn AnyKey) -> String {
    let mut entry = format!("{}\n    {}\n", key.name(), key.help());
    let mut line = |name: &str, text: String| {
        // Writing into a String cannot fail.
        let _ = writeln!(entry, "    {name}: {text}");
    };
    line("value", key.allowed());
    if let Some(default) = key.default_text().filter(|default| !default.is_empty()) {
        line("default", default);
    }
    if let Some(property) = key.java_property() {
        line("property", format!("-D{property}"));
    }
    match key.status() {
        Status::Supported => {}
        Status::NotYet(reason) => line("without effect", reason.to_owned()),
        Status::Ensemble => line("only", "in an ensemble".to_owned()),
        Status::MemberNotYet => {
            line("without effect", "it concerns ensembles, and is not supported yet".to_owned())
        }
        Status::IgnoredJvm => line("without effect", "it is about the Java server's inside".to_owned()),
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_says_all_there_is_to_know() {
        assert_eq!(
            text("globalOutstanding"),
            "globalOutstandingLimit\n    \
             requests in process from which on connections that have one are not read\n    \
             value: at least 1\n    \
             default: 1000\n    \
             property: -Dzookeeper.globalOutstandingLimit\n"
        );
        assert!(
            text("txnLogSizeLimitInKb").contains("    without effect: the log has files of preAllocSize\n")
        );
        assert_eq!(text("no such key"), "");
    }
}
